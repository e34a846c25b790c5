//! The pillar's routes.

use http::Method;
use kernel_core::http::{
    Access, Body, Call, Created, Json, NoContent, RateClass, Route, WithCookie, cookie_value,
};
use kernel_core::{Error, GlobalTx, Tx};

use crate::account::{LogIn, NewAccount};
use crate::auth::Auth;
use crate::session::{COOKIE, Session};

pub(crate) fn routes(auth: &Auth) -> Vec<Route> {
    let auth = || auth.clone();
    vec![
        Route::free(Method::POST, "/auth/sign-up", "auth.sign_up", Access::Public, auth(), sign_up)
            .rate(RateClass::Auth)
            .summary("Makes an account and opens a session"),
        Route::free(Method::POST, "/auth/log-in", "auth.log_in", Access::Public, auth(), log_in)
            .rate(RateClass::Auth)
            .summary("Opens a session"),
        Route::free(Method::POST, "/auth/log-out", "auth.log_out", Access::Public, auth(), log_out)
            .summary("Ends the session"),
        Route::global(Method::GET, "/me", "auth.me", Access::SignedIn, auth(), me)
            .summary("Who is signed in"),
    ]
}

async fn sign_up(
    auth: Auth,
    call: Call,
    Body(new): Body<NewAccount>,
) -> Result<WithCookie<Created<Session>>, Error> {
    let opened = auth.sign_up(&call.ctx, &call.db, new, cookie_value(&call.head.headers, COOKIE)).await?;
    Ok(WithCookie(opened.cookie, Created(opened.session)))
}

async fn log_in(auth: Auth, call: Call, Body(with): Body<LogIn>) -> Result<WithCookie<Json<Session>>, Error> {
    let opened = auth.log_in(&call.ctx, &call.db, with, cookie_value(&call.head.headers, COOKIE)).await?;
    Ok(WithCookie(opened.cookie, Json(opened.session)))
}

async fn log_out(auth: Auth, call: Call, (): ()) -> Result<WithCookie<NoContent>, Error> {
    let session = cookie_value(&call.head.headers, COOKIE).map(str::to_owned);
    let cookie = call
        .db
        .global(&call.ctx, async |tx: &mut GlobalTx| auth.log_out(tx, session.as_deref()).await)
        .await?;
    Ok(WithCookie(cookie, NoContent))
}

async fn me(auth: Auth, tx: &mut GlobalTx, (): ()) -> Result<Json<Session>, Error> {
    let user = tx.ctx().actor().user().ok_or_else(Error::unauthenticated)?;
    let csrf_token = tx.ctx().csrf().unwrap_or_default().to_owned();
    let user = auth.find(tx, user).await?.ok_or_else(Error::not_found)?;
    Ok(Json(Session { user, csrf_token }))
}
