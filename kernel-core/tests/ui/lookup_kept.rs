//! The connection of a look-up cannot leave it.
//!
//! error: lifetime may not live long enough

use kernel_core::{Db, DbError};
use sqlx::PgConnection;

pub async fn raid(db: &Db) -> Result<(), DbError> {
    let number = 1;
    let _ = db.lookup(async |conn: &mut PgConnection| {
        let _ = &conn;
        Ok::<_, DbError>(number /* not: conn */)
    });
    Ok(())
}
