use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

use crate::secret::Wrapped;

/// A data key as it lies there.
#[derive(Debug, FromRow)]
pub(crate) struct Row {
    pub(crate) number: i32,
    pub(crate) wrapped: Vec<u8>,
    pub(crate) key_id: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) sealing_from: DateTime<Utc>,
}

/// All of them; an installation has few.
pub(crate) async fn list(conn: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT number, wrapped, key_id, created_at, sealing_from FROM kernel_core.data_key ORDER BY number",
    )
    .fetch_all(conn)
    .await
}

/// Whether the number was free. Of two processes that make the same one, the first that commits has made it.
pub(crate) async fn insert(conn: &mut PgConnection, row: &Row) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO kernel_core.data_key (number, wrapped, key_id, created_at, sealing_from)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (number) DO NOTHING",
    )
    .bind(row.number)
    .bind(&row.wrapped)
    .bind(&row.key_id)
    .bind(row.created_at)
    .bind(row.sealing_from)
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Puts the same key there as another of the provider's keys wraps it, unless somebody has meanwhile.
pub(crate) async fn rewrap(
    conn: &mut PgConnection,
    number: i32,
    before: &[u8],
    wrapped: &Wrapped,
) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query(
        "UPDATE kernel_core.data_key SET wrapped = $3, key_id = $4 WHERE number = $1 AND wrapped = $2",
    )
    .bind(number)
    .bind(before)
    .bind(&wrapped.bytes)
    .bind(&wrapped.key_id)
    .execute(conn)
    .await?;
    Ok(updated.rows_affected() == 1)
}
