//! Signing up, logging in and out.

use garde::Validate;
use http::Method;
use kernel_auth::{COOKIE, LogIn, NewAccount, Opened};
use kernel_core::http::{
    Access, Call, Either, Head, Html, Query, RateClass, Route, SeeOther, SetCookie, WithCookie, cookie_value,
};
use kernel_core::{Error, GlobalTx, Tx};
use minijinja::context;
use schemars::JsonSchema;
use serde::Deserialize;

use super::form::{Form, Refused};
use super::frame::Asked;
use crate::text::printable;
use crate::tracker::Tracker;

pub(super) fn routes(tracker: &Tracker) -> Vec<Route> {
    let (get, post, public) = (Method::GET, Method::POST, Access::Public);
    let t = || tracker.clone();
    vec![
        Route::global(get.clone(), "/", "tracker.page.welcome", public, t(), welcome).page(),
        Route::global(get.clone(), "/sign-up", "tracker.page.sign_up", public, t(), sign_up_form).page(),
        Route::free(post.clone(), "/sign-up", "tracker.page.sign_up.send", public, t(), sign_up)
            .page()
            .rate(RateClass::Auth),
        Route::global(get, "/log-in", "tracker.page.log_in", public, t(), log_in_form).page(),
        Route::free(post.clone(), "/log-in", "tracker.page.log_in.send", public, t(), log_in)
            .page()
            .rate(RateClass::Auth),
        Route::free(post, "/log-out", "tracker.page.log_out", public, t(), log_out).page(),
    ]
}

/// Where to go after signing in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Next {
    #[serde(default)]
    next: String,
}

/// What the page for signing up sends: what signing up takes, and where to go then.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct SignUpForm {
    #[garde(length(chars, min = 1, max = 100), custom(printable))]
    name: String,
    #[garde(email, length(max = 254))]
    email: String,
    #[garde(length(chars, min = 12), length(bytes, max = 256))]
    password: String,
    #[serde(default)]
    #[garde(skip)]
    next: String,
}

/// What the page for logging in sends.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
struct LogInForm {
    #[garde(length(max = 254), custom(printable))]
    email: String,
    #[garde(length(bytes, max = 256))]
    password: String,
    #[serde(default)]
    #[garde(skip)]
    next: String,
}

type SignedIn = Either<WithCookie<SeeOther>, Html>;

/// `next`, if it is a path of this site and of no other: `//evil.example` and `/\evil.example` are other sites.
pub(crate) fn own_path(next: &str) -> Option<&str> {
    let visible = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (visible && next.starts_with('/') && !next.starts_with("//")).then_some(next)
}

async fn welcome(tracker: Tracker, tx: &mut GlobalTx, asked: Asked) -> Result<Html, Error> {
    let frame = tracker.frame(tx, &asked).await?;
    tracker.pages.html("welcome.html", &frame, context! {})
}

async fn sign_up_form(
    tracker: Tracker,
    tx: &mut GlobalTx,
    visit: (Asked, Query<Next>),
) -> Result<Either<SeeOther, Html>, Error> {
    entry(&tracker, tx, visit, "sign_up.html").await
}

async fn log_in_form(
    tracker: Tracker,
    tx: &mut GlobalTx,
    visit: (Asked, Query<Next>),
) -> Result<Either<SeeOther, Html>, Error> {
    entry(&tracker, tx, visit, "log_in.html").await
}

/// One of the two pages for strangers. Whoever has signed in already is sent on.
async fn entry(
    tracker: &Tracker,
    tx: &mut GlobalTx,
    (asked, Query(Next { next })): (Asked, Query<Next>),
    template: &str,
) -> Result<Either<SeeOther, Html>, Error> {
    let next = own_path(&next);
    if tx.ctx().actor().user().is_some() {
        return Ok(Either::Left(SeeOther::to(next.unwrap_or("/workspaces"))));
    }
    let frame = tracker.frame(tx, &asked).await?;
    let html = tracker.pages.html(template, &frame, context! { next => next.unwrap_or_default() })?;
    Ok(Either::Right(html))
}

async fn sign_up(tracker: Tracker, call: Call, form: Form<SignUpForm>) -> Result<SignedIn, Error> {
    let Form { asked, sent, input } = form;
    let outcome = match input {
        Ok(SignUpForm { name, email, password, next }) => {
            let new = NewAccount { name, email, password };
            let before = cookie_value(&call.head.headers, COOKIE);
            tracker.auth.sign_up(&call.ctx, &call.db, new, before).await.map(|opened| (opened, next))
        }
        Err(error) => Err(error),
    };
    // Whoever is new has no workspace yet.
    settle(&tracker, &call, Refused::or(asked, sent, outcome)?, "sign_up.html", "/workspaces/new").await
}

async fn log_in(tracker: Tracker, call: Call, form: Form<LogInForm>) -> Result<SignedIn, Error> {
    let Form { asked, sent, input } = form;
    let outcome = match input {
        Ok(LogInForm { email, password, next }) => {
            let with = LogIn { email, password };
            let before = cookie_value(&call.head.headers, COOKIE);
            tracker.auth.log_in(&call.ctx, &call.db, with, before).await.map(|opened| (opened, next))
        }
        Err(error) => Err(error),
    };
    settle(&tracker, &call, Refused::or(asked, sent, outcome)?, "log_in.html", "/workspaces").await
}

async fn settle(
    tracker: &Tracker,
    call: &Call,
    outcome: Result<(Opened, String), Refused>,
    template: &str,
    otherwise: &str,
) -> Result<SignedIn, Error> {
    match outcome {
        Ok((opened, next)) => {
            let to = SeeOther::to(own_path(&next).unwrap_or(otherwise));
            Ok(Either::Left(WithCookie(opened.cookie, to)))
        }
        Err(refused) => {
            let reading = call.ctx.reading();
            let frame =
                call.db.global(&reading, async |tx: &mut GlobalTx| tracker.frame(tx, &refused.asked).await);
            let next = refused.sent.get("next").and_then(|next| own_path(next)).unwrap_or_default();
            let html = tracker.pages.again(template, &frame.await?, &refused, context! { next })?;
            Ok(Either::Right(html))
        }
    }
}

async fn log_out(tracker: Tracker, call: Call, Head(head): Head) -> Result<WithCookie<SeeOther>, Error> {
    let session = cookie_value(&head.headers, COOKIE);
    let ended = call.db.global(&call.ctx, async |tx: &mut GlobalTx| tracker.auth.log_out(tx, session).await);
    let cookie: SetCookie = ended.await?;
    Ok(WithCookie(cookie, SeeOther::to("/")))
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn only_paths_of_this_site_are_followed() {
        for own in ["/", "/workspaces", "/w/acme/projects?status=open&q=a%20b#main"] {
            assert_eq!(own_path(own), Some(own));
        }
        for foreign in [
            "",
            "workspaces",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/a b",
            " /a",
        ] {
            assert_eq!(own_path(foreign), None, "{foreign:?}");
        }
    }
}
