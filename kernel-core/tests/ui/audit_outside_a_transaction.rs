//! An audit row is written in the transaction of the deed or not at all.
//!
//! error[E0277]: the trait bound `PgConnection: Tx` is not satisfied

use kernel_core::{AuditAction, AuditEntry, DbError, TenantTx, audit};
use sqlx::PgConnection;

pub async fn note(tx: &mut TenantTx, conn: &mut PgConnection) -> Result<(), DbError> {
    let _ = &conn;
    audit(tx /* not: conn */, AuditEntry::new(AuditAction::new("shop.item.sell"))).await
}
