//! People and their passwords: signing up and logging in.

use garde::Validate;
use kernel_core::hook::{self, SignUp};
use kernel_core::rule::{PRINTABLE, SAYING_SOMETHING, printable, saying_something};
use kernel_core::seam::{People, Person};
use kernel_core::{AuditEntry, Ctx, Db, GlobalTx, Tx, UserId, audit, publish, violates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::action;
use crate::auth::Auth;
use crate::error::Error;
use crate::event::SignedUp;
use crate::session::Opened;
use crate::store;

/// Someone who can log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Account {
    /// The user's id.
    pub id: UserId,
    /// The name that they gave.
    pub name: String,
    /// The address as they wrote it.
    pub email: String,
    /// Whether they have shown that it is theirs.
    pub email_verified: bool,
}

/// What signing up takes.
#[derive(Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// What others see.
    #[garde(length(chars, min = 1, max = 100), custom(saying_something))]
    #[schemars(length(min = 1, max = 100), regex(pattern = SAYING_SOMETHING))]
    pub name: String,
    /// An address that mail reaches.
    #[garde(email, length(max = 254))]
    pub email: String,
    /// At least 12 characters, at most 256 bytes.
    #[garde(length(chars, min = 12), length(bytes, max = 256))]
    pub password: String,
}

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAccount").finish_non_exhaustive()
    }
}

/// What logging in takes.
#[derive(Clone, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The address.
    #[garde(length(max = 254), custom(printable))]
    #[schemars(length(max = 254), regex(pattern = PRINTABLE))]
    pub email: String,
    /// The password; nothing longer than 256 bytes is ever hashed.
    #[garde(length(bytes, max = 256))]
    pub password: String,
}

impl std::fmt::Debug for LogIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogIn").finish_non_exhaustive()
    }
}

/// The address as it is compared.
fn key_of(email: &str) -> String {
    email.trim().to_lowercase()
}

impl Auth {
    /// Makes an account, runs the `on_signup` hooks in the same transaction, and opens a session. The session of `before`,
    /// the cookie that the browser came with, ends.
    ///
    /// # Errors
    /// [`Error::EmailTaken`], [`Error::Busy`], or what a hook says; nothing exists then.
    pub async fn sign_up(
        &self,
        ctx: &Ctx,
        db: &Db,
        new: NewAccount,
        before: Option<&str>,
    ) -> Result<Opened, kernel_core::Error> {
        let NewAccount { name, email, password } = new;
        // Before the transaction: a hash takes tens of milliseconds.
        let password_hash = self.passwords.hash(ctx, password).await?;
        db.global(ctx, async |tx: &mut GlobalTx| {
            let id: UserId = ctx.new_id();
            let (email, email_key) = (email.trim().to_owned(), key_of(&email));
            let row = store::user::NewUser { id, email, email_key, name, password_hash, at: ctx.now() };
            store::user::insert(tx.conn(), &row).await.map_err(|error| -> kernel_core::Error {
                if violates(&error, "user_email_key") { Error::EmailTaken.into() } else { error.into() }
            })?;
            audit(tx, AuditEntry::new(action::SIGN_UP).target("user", id)).await?;
            publish(tx, &SignedUp { user_id: id }).await?;
            hook::signed_up(tx, &SignUp::new(id, &row.name)).await?;
            let account = Account { id, name: row.name, email: row.email, email_verified: false };
            self.open_session(tx, account, before).await
        })
        .await
    }

    /// Opens a session for whoever knows the password. The session of `before`, the cookie that the browser came with, ends.
    ///
    /// # Errors
    /// [`Error::CredentialsRefused`] for an unknown address and for a wrong password alike, [`Error::Busy`].
    pub async fn log_in(
        &self,
        ctx: &Ctx,
        db: &Db,
        with: LogIn,
        before: Option<&str>,
    ) -> Result<Opened, kernel_core::Error> {
        let email_key = key_of(&with.email);
        let reading = ctx.reading();
        let found = db
            .global(&reading, async |tx: &mut GlobalTx| {
                Ok::<_, kernel_core::DbError>(store::user::find_by_email(tx.conn(), &email_key).await?)
            })
            .await?;
        let hash = found.as_ref().map(|user| user.password_hash.clone());
        if !self.passwords.verify(with.password, hash).await? {
            return Err(Error::CredentialsRefused.into());
        }
        let account = found.ok_or(Error::CredentialsRefused)?.into_account();
        db.global(ctx, async |tx: &mut GlobalTx| {
            audit(tx, AuditEntry::new(action::LOG_IN).target("user", account.id)).await?;
            self.open_session(tx, account, before).await
        })
        .await
    }

    /// The account of a user.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn find(&self, tx: &mut GlobalTx, id: UserId) -> Result<Option<Account>, kernel_core::Error> {
        Ok(store::user::find(tx.conn(), id).await?.map(store::user::User::into_account))
    }

    /// The account with this address, for seeds and for staff. Whether there is one is nobody else's business.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn find_by_email(
        &self,
        tx: &mut GlobalTx,
        email: &str,
    ) -> Result<Option<Account>, kernel_core::Error> {
        let found = store::user::find_by_email(tx.conn(), &key_of(email)).await?;
        Ok(found.map(store::user::User::into_account))
    }
}

#[async_trait::async_trait]
impl People for Auth {
    async fn people(
        &self,
        conn: &mut PgConnection,
        ids: &[UserId],
    ) -> Result<Vec<Person>, kernel_core::Error> {
        Ok(store::user::people(conn, ids).await?)
    }
}
