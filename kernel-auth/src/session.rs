//! Browser sessions: an opaque cookie, hashed at rest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel_core::http::SetCookie;
use kernel_core::seam::{Credential, Principal};
use kernel_core::secret::sha256;
use kernel_core::{Actor, AuditEntry, Ctx, Db, DbError, GlobalTx, Id, Noun, Tx, audit};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgConnection;

use crate::account::Account;
use crate::action;
use crate::auth::Auth;
use crate::store;

/// The name of the session cookie. `__Host-` keeps sibling domains from setting it.
pub const COOKIE: &str = "__Host-session";

/// Names sessions.
#[derive(Debug)]
pub(crate) enum SessionNoun {}

impl Noun for SessionNoun {
    const PREFIX: &'static str = "ses";
}

pub(crate) type SessionId = Id<SessionNoun>;

/// A session just opened: whose it is, and the cookie that proves it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Opened {
    /// What its owner may know of it.
    pub session: Session,
    /// The cookie to send, once.
    pub cookie: SetCookie,
}

/// A session, as its owner sees it.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Session {
    /// Whose session it is.
    pub user: Account,
    /// What a script sends as `X-CSRF-Token` with every write.
    pub csrf_token: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("user", &self.user.id).finish_non_exhaustive()
    }
}

pub(crate) fn hash_of(cookie: &str) -> Option<[u8; 32]> {
    let token = URL_SAFE_NO_PAD.decode(cookie).ok()?;
    (token.len() == 32).then(|| sha256(&token))
}

/// The token that writes of this session must carry. It is derived, so it needs no place of its own, and it does not
/// lead back to the cookie.
pub(crate) fn csrf_of(cookie: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(format!("csrf {cookie}").as_bytes()))
}

impl Auth {
    /// Opens a session under a fresh token; the cookie that the browser had before is worth nothing afterwards.
    pub(crate) async fn open_session(
        &self,
        tx: &mut GlobalTx,
        account: Account,
        before: Option<&str>,
    ) -> Result<Opened, kernel_core::Error> {
        if let Some(hash) = before.and_then(hash_of) {
            store::session::delete(tx.conn(), &hash).await?;
        }
        let ctx = tx.ctx().clone();
        let token: [u8; 32] = ctx.entropy().bytes();
        let ends_at = ctx.now() + self.settings.session_end;
        let row = store::session::NewSession {
            id: ctx.new_id(),
            token_hash: sha256(&token),
            user_id: account.id,
            at: ctx.now(),
            expires_at: (ctx.now() + self.settings.session_idle).min(ends_at),
            ends_at,
            ip_address: ctx.client().ip.map(|ip| ip.to_string()),
            user_agent: ctx.client().user_agent.clone(),
        };
        store::session::insert(tx.conn(), &row).await?;
        let lasting = self.settings.session_end.to_std().unwrap_or_default();
        let value = URL_SAFE_NO_PAD.encode(token);
        let session = Session { user: account, csrf_token: csrf_of(&value) };
        Ok(Opened { session, cookie: SetCookie::session(COOKIE, value).lasting(lasting) })
    }

    /// Ends the session of this cookie; one that is unknown or over is none.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn log_out(
        &self,
        tx: &mut GlobalTx,
        cookie: Option<&str>,
    ) -> Result<SetCookie, kernel_core::Error> {
        if let Some(hash) = cookie.and_then(hash_of)
            && let Some(user) = store::session::delete(tx.conn(), &hash).await?
        {
            audit(tx, AuditEntry::new(action::LOG_OUT).target("user", user)).await?;
        }
        Ok(SetCookie::removal(COOKIE))
    }

    /// Moves the expiry of a session in use. Once in a while is enough: a write per request would cost more than the
    /// few minutes that it makes exact.
    async fn slide(&self, ctx: &Ctx, db: &Db, session: &store::session::Found) -> Result<(), DbError> {
        let slid = (ctx.now() + self.settings.session_idle).min(session.ends_at);
        if slid - session.expires_at < self.settings.session_idle / 100 {
            return Ok(());
        }
        db.global(ctx, async |tx: &mut GlobalTx| {
            store::session::slide(tx.conn(), session.id, slid, ctx.now()).await.map_err(DbError::from)
        })
        .await
    }
}

#[async_trait::async_trait]
impl kernel_core::seam::Auth for Auth {
    fn cookie_name(&self) -> &'static str {
        COOKIE
    }

    async fn authenticate(
        &self,
        ctx: &Ctx,
        db: &Db,
        credential: Credential<'_>,
    ) -> Result<Option<Principal>, kernel_core::Error> {
        // A session cookie is never a bearer token.
        let Credential::Cookie(cookie) = credential else { return Ok(None) };
        let Some(hash) = hash_of(cookie) else { return Ok(None) };
        let now = ctx.now();
        let found = db
            .lookup(async |conn: &mut PgConnection| {
                store::session::find(conn, &hash, now).await.map_err(DbError::from)
            })
            .await?;
        let Some(session) = found else { return Ok(None) };
        self.slide(ctx, db, &session).await?;
        let actor = Actor::User { id: session.user_id, verified: session.verified };
        Ok(Some(Principal::by_cookie(actor, csrf_of(cookie))))
    }
}
