use chrono::{DateTime, Utc};
use kernel_core::UserId;
use kernel_core::seam::Person;
use sqlx::PgConnection;

use crate::account::Account;

pub(crate) struct NewUser {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) email_key: String,
    pub(crate) name: String,
    pub(crate) password_hash: String,
    pub(crate) at: DateTime<Utc>,
}

pub(crate) async fn insert(conn: &mut PgConnection, user: &NewUser) -> Result<(), sqlx::Error> {
    sqlx::query(
        r#"
        INSERT INTO kernel_auth."user" (id, email, email_key, name, password_hash, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $6)
        "#,
    )
    .bind(user.id)
    .bind(&user.email)
    .bind(&user.email_key)
    .bind(&user.name)
    .bind(&user.password_hash)
    .bind(user.at)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
pub(crate) struct User {
    id: UserId,
    name: String,
    email: String,
    email_verified: bool,
    pub(crate) password_hash: String,
}

impl User {
    pub(crate) fn into_account(self) -> Account {
        let Self { id, name, email, email_verified, .. } = self;
        Account { id, name, email, email_verified }
    }
}

pub(crate) async fn find_by_email(
    conn: &mut PgConnection,
    email_key: &str,
) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as(
        r#"
        SELECT id, name, email, email_verified_at IS NOT NULL AS email_verified, password_hash
        FROM kernel_auth."user"
        WHERE email_key = $1
        "#,
    )
    .bind(email_key)
    .fetch_optional(conn)
    .await
}

pub(crate) async fn find(conn: &mut PgConnection, id: UserId) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as(
        r#"
        SELECT id, name, email, email_verified_at IS NOT NULL AS email_verified, password_hash
        FROM kernel_auth."user"
        WHERE id = $1
        "#,
    )
    .bind(id)
    .fetch_optional(conn)
    .await
}

pub(crate) async fn people(conn: &mut PgConnection, ids: &[UserId]) -> Result<Vec<Person>, sqlx::Error> {
    let rows: Vec<(UserId, String, String)> =
        sqlx::query_as("SELECT id, name, email FROM kernel_auth.people($1)")
            .bind(ids)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|(id, name, email)| Person::new(id, name, email)).collect())
}
