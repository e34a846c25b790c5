//! When the rows of the audit log are written: the last one with the commit, all in their transaction.

use kernel_core::audit::{self, AuditFilter, AuditOrder, audit};
use kernel_core::testkit::TestKernel;
use kernel_core::{
    AuditAction, AuditEntry, Db, DbError, GlobalTx, OperatorTx, Reason, TenantTx, Tx, WorkspaceId,
};
use sqlx::Executor;

use crate::handle::{assert_nothing_left, leave_things, two_shops};

async fn note(tx: &mut impl Tx, action: &'static str) -> Result<(), DbError> {
    audit(tx, AuditEntry::new(AuditAction::new(action))).await
}

/// What was done in a workspace, by name: rows of one millisecond have no order.
async fn done(kernel: &TestKernel, workspace: WorkspaceId) -> Vec<String> {
    let rows = "SELECT action FROM kernel_core.audit_unsealed
                WHERE workspace_id = $1 AND action LIKE 'shop.%' ORDER BY action";
    sqlx::query_scalar(rows).bind(workspace).fetch_all(&mut kernel.admin().await).await.unwrap()
}

async fn failing(tx: &mut TenantTx, action: &'static str) {
    let piece = tx.nested(async |tx: &mut TenantTx| {
        note(tx, action).await?;
        Err::<(), _>(DbError::Abandoned)
    });
    assert!(piece.await.is_err());
}

#[tokio::test]
async fn a_piece_takes_its_rows_with_it_and_no_others() {
    let (kernel, ctx, one, _) = two_shops().await;
    let work = async |tx: &mut TenantTx| {
        failing(tx, "shop.never").await;
        note(tx, "shop.first").await?;
        failing(tx, "shop.never").await;
        tx.nested(async |tx: &mut TenantTx| note(tx, "shop.second").await).await?;
        note(tx, "shop.third").await?;
        note(tx, "shop.fourth").await
    };
    kernel.app.db().tenant(&ctx, &one, work).await.unwrap();
    assert_eq!(done(&kernel, one.id()).await, ["shop.first", "shop.fourth", "shop.second", "shop.third"]);
}

#[tokio::test]
async fn a_row_is_of_the_workspace_in_which_it_was_noted() {
    let (kernel, ctx, one, other) = two_shops().await;
    let id = ctx.new_id();
    let founding = kernel.app.db().global(&ctx, async |tx: &mut GlobalTx| {
        note(tx, "shop.before").await?;
        tx.found(id, async |tx: &mut TenantTx| note(tx, "shop.within").await).await?;
        note(tx, "shop.after").await
    });
    founding.await.unwrap();
    assert_eq!(done(&kernel, id).await, ["shop.within"]);
    assert_eq!(done(&kernel, WorkspaceId::SYSTEM).await, ["shop.after", "shop.before"]);

    let reason = Reason::new("a customer asked for it").unwrap();
    let visit = kernel.app.db().operator(&ctx, &reason, async |tx: &mut OperatorTx| {
        for (workspace, action) in [(&one, "shop.one"), (&other, "shop.other")] {
            tx.enter(workspace.id(), async |tx: &mut TenantTx| note(tx, action).await).await?;
        }
        Ok::<_, DbError>(())
    });
    visit.await.unwrap();
    assert_eq!(done(&kernel, one.id()).await, ["shop.one"]);
    assert_eq!(done(&kernel, other.id()).await, ["shop.other"]);
}

#[tokio::test]
async fn the_log_shows_a_row_before_it_is_committed() {
    let (kernel, ctx, one, _) = two_shops().await;
    let seen = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        note(tx, "shop.now").await?;
        audit::list(tx, &AuditFilter::default(), AuditOrder::NewestFirst, None, 10).await
    });
    assert_eq!(seen.await.unwrap().len(), 1);
    assert_eq!(done(&kernel, one.id()).await, ["shop.now"]);
}

#[tokio::test]
async fn a_transaction_that_only_reads_takes_no_row() {
    let (kernel, ctx, one, _) = two_shops().await;
    let reading = ctx.reading();
    let noted = kernel.app.db().tenant(&reading, &one, async |tx: &mut TenantTx| note(tx, "shop.read").await);
    assert_eq!(kernel_core::Error::from(noted.await.unwrap_err()).code(), "read_only");
}

#[tokio::test]
async fn what_is_checked_before_a_commit_is_checked_with_the_row() {
    let (kernel, ctx, one, _) = two_shops().await;
    let swallowed = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        note(tx, "shop.swallowed").await?;
        let _ = tx.conn().execute("SELECT 1 / 0").await;
        Ok::<_, DbError>(())
    });
    assert!(swallowed.await.is_err(), "COMMIT of a failed transaction is a rollback");

    let defer = "ALTER TABLE shop.item ALTER CONSTRAINT item_workspace_id_shelf_id_fkey DEFERRABLE INITIALLY DEFERRED";
    kernel.admin().await.execute(defer).await.unwrap();
    let dangling = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        note(tx, "shop.dangling").await?;
        tx.conn().execute("UPDATE shop.item SET shelf_id = gen_random_uuid()").await.map_err(DbError::from)
    });
    assert!(dangling.await.is_err());
    assert!(done(&kernel, one.id()).await.is_empty());
}

#[tokio::test]
async fn nothing_of_an_audited_transaction_stays_on_the_connection() {
    let (kernel, ctx, one, other) = two_shops().await;
    let mut config = kernel.database.logins().config();
    config.max_connections = 1;
    let db = Db::new(&config).unwrap();
    let left = db.tenant(&ctx, &one, async |tx: &mut TenantTx| {
        leave_things(tx).await?;
        note(tx, "shop.leave").await
    });
    left.await.unwrap();
    assert_nothing_left(&db, &ctx, &other).await;
    db.close().await;
}
