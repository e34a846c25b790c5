use std::time::Duration;

use kernel_core::testkit::TestKernel;
use kernel_core::{
    AuditAction, AuditEntry, Ctx, Db, DbError, ErrorKind, GlobalTx, OperatorTx, Reason, TenantTx, Tx,
    WorkspaceId, audit,
};
use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::shop;

pub(crate) async fn two_shops() -> (TestKernel, Ctx, kernel_core::Workspace, kernel_core::Workspace) {
    let kernel = TestKernel::start(|app| app.with(shop::pillar())).await;
    let ctx = kernel.app.system("test");
    let (one, other) = (kernel.found_workspace().await, kernel.found_workspace().await);
    for (workspace, name) in [(&one, "bread"), (&other, "cheese")] {
        let stocked = kernel.app.db().tenant(&ctx, workspace, async |tx: &mut TenantTx| {
            shop::insert(tx, name).await.map_err(DbError::from)
        });
        stocked.await.unwrap();
    }
    (kernel, ctx, one, other)
}

#[tokio::test]
async fn a_statement_without_where_sees_one_workspace() {
    let (kernel, ctx, one, other) = two_shops().await;
    for (workspace, name) in [(&one, "bread"), (&other, "cheese")] {
        let seen = kernel
            .app
            .db()
            .tenant(&ctx, workspace, async |tx: &mut TenantTx| shop::names(tx).await.map_err(DbError::from));
        assert_eq!(seen.await.unwrap(), [name]);
    }
    let global =
        kernel.app.db().global(&ctx, async |tx: &mut GlobalTx| shop::names(tx).await.map_err(DbError::from));
    assert!(global.await.unwrap().is_empty());
    let without = kernel.app.db().lookup(async |conn: &mut PgConnection| {
        Ok::<_, DbError>(sqlx::query_scalar::<_, String>("SELECT name FROM shop.item").fetch_all(conn).await?)
    });
    assert!(without.await.unwrap().is_empty());
}

#[tokio::test]
async fn rows_of_another_workspace_cannot_be_written() {
    let (kernel, ctx, one, other) = two_shops().await;
    let foreign = other.id();
    let result = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        sqlx::query("INSERT INTO shop.item (workspace_id, id, name) VALUES ($1, $2, 'planted')")
            .bind(foreign)
            .bind(tx.ctx().new_id::<kernel_core::job::JobNoun>())
            .execute(tx.conn())
            .await
            .map_err(DbError::from)
    });
    let message = std::error::Error::source(&result.await.unwrap_err()).unwrap().to_string();
    assert!(message.contains("row-level security"), "{message}");
    let changed = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        let done = sqlx::query("UPDATE shop.item SET name = 'changed'").execute(tx.conn()).await?;
        Ok::<_, DbError>(done.rows_affected())
    });
    assert_eq!(changed.await.unwrap(), 1);
}

#[tokio::test]
async fn a_swallowed_statement_error_does_not_pass_for_a_commit() {
    let (kernel, ctx, one, _) = two_shops().await;
    let result = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        shop::insert(tx, "butter").await?;
        let _ = tx.conn().execute("SELECT 1 / 0").await;
        Ok::<_, DbError>(())
    });
    assert!(result.await.is_err(), "COMMIT of a failed transaction is a rollback");
}

#[tokio::test]
async fn a_reading_context_cannot_write() {
    let (kernel, ctx, one, _) = two_shops().await;
    let reading = ctx.reading();
    let result = kernel.app.db().tenant(&reading, &one, async |tx: &mut TenantTx| {
        shop::insert(tx, "butter").await.map_err(DbError::from)
    });
    assert!(matches!(kernel_core::Error::from(result.await.unwrap_err()).code(), "read_only"));
}

#[tokio::test]
async fn an_existing_workspace_cannot_be_founded_again() {
    let (kernel, ctx, one, _) = two_shops().await;
    for id in [one.id(), WorkspaceId::SYSTEM] {
        let result = kernel.app.db().global(&ctx, async |tx: &mut GlobalTx| {
            tx.found(id, async |tx: &mut TenantTx| shop::names(tx).await.map_err(DbError::from)).await
        });
        assert!(matches!(result.await, Err(DbError::WorkspaceExists(found)) if found == id));
    }
}

#[tokio::test]
async fn founding_ends_where_it_began() {
    let (kernel, ctx, ..) = two_shops().await;
    let id = ctx.new_id();
    let seen = kernel.app.db().global(&ctx, async |tx: &mut GlobalTx| {
        tx.found(id, async |tx: &mut TenantTx| shop::insert(tx, "eggs").await.map_err(DbError::from)).await?;
        let after = shop::names(tx).await?;
        let failed =
            tx.found(tx.ctx().new_id(), async |_: &mut TenantTx| Err::<(), _>(DbError::Abandoned)).await;
        assert!(failed.is_err());
        Ok::<_, DbError>((after, shop::names(tx).await?))
    });
    assert_eq!(seen.await.unwrap(), (vec![], vec![]));
}

#[tokio::test]
async fn a_nested_piece_is_undone_alone() {
    let (kernel, ctx, one, _) = two_shops().await;
    let seen = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        let failed = tx
            .nested(async |tx: &mut TenantTx| {
                shop::insert(tx, "butter").await?;
                tx.conn().execute("SELECT 1 / 0").await?;
                Ok::<_, DbError>(())
            })
            .await;
        assert!(failed.is_err());
        tx.nested(async |tx: &mut TenantTx| shop::insert(tx, "eggs").await.map_err(DbError::from)).await?;
        shop::names(tx).await.map_err(DbError::from)
    });
    assert_eq!(seen.await.unwrap(), ["bread", "eggs"]);
}

#[tokio::test]
async fn an_abandoned_piece_bars_the_commit() {
    let (kernel, ctx, one, _) = two_shops().await;
    let result = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        let slow = tx.nested(async |tx: &mut TenantTx| {
            tx.conn().execute("SELECT pg_sleep(5)").await?;
            Ok::<_, DbError>(())
        });
        let _ = tokio::time::timeout(Duration::from_millis(50), slow).await;
        Ok::<_, DbError>(())
    });
    assert!(matches!(result.await, Err(DbError::Abandoned)));
}

#[tokio::test]
async fn a_cancelled_opening_leaves_no_transaction_behind() {
    let (kernel, ctx, one, other) = two_shops().await;
    for delay in 0..200_u64 {
        let work = kernel
            .app
            .db()
            .tenant(&ctx, &one, async |tx: &mut TenantTx| shop::names(tx).await.map_err(DbError::from));
        let _ = tokio::time::timeout(Duration::from_micros(delay * 7), work).await;
        let without = kernel.app.db().lookup(async |conn: &mut PgConnection| {
            let setting = "SELECT coalesce(current_setting('app.workspace_id', true), '')";
            Ok::<_, DbError>(sqlx::query_scalar::<_, String>(setting).fetch_one(conn).await?)
        });
        assert_eq!(without.await.unwrap(), "");
        let seen = kernel
            .app
            .db()
            .tenant(&ctx, &other, async |tx: &mut TenantTx| shop::names(tx).await.map_err(DbError::from));
        assert_eq!(seen.await.unwrap(), ["cheese"]);
    }
}

#[tokio::test]
async fn the_hosts_transaction_commits_both_or_neither() {
    let (kernel, ctx, one, _) = two_shops().await;
    let app = kernel.database.logins().of(&kernel_core::testkit::roles().app);
    let pool = PgPool::connect(&app).await.unwrap();
    for keep in [true, false] {
        let host = pool.begin().await.unwrap();
        let mut tx = kernel.app.db().adopt(host, &ctx, &one).await.unwrap();
        shop::insert(&mut tx, "adopted").await.unwrap();
        let mut host = tx.release().await.unwrap();
        let visible: i64 =
            sqlx::query_scalar("SELECT count(*) FROM shop.item").fetch_one(&mut *host).await.unwrap();
        assert_eq!(visible, 0, "released, it is in no workspace");
        if keep {
            host.commit().await.unwrap();
            let mut admin = kernel.admin().await;
            admin.execute("DELETE FROM shop.item WHERE name = 'adopted'").await.unwrap();
        } else {
            host.rollback().await.unwrap();
        }
    }
    let seen = kernel
        .app
        .db()
        .tenant(&ctx, &one, async |tx: &mut TenantTx| shop::names(tx).await.map_err(DbError::from));
    assert_eq!(seen.await.unwrap(), ["bread"]);

    let pool = PgPool::connect(&kernel.database.logins().admin()).await.unwrap();
    let refused = kernel.app.db().adopt(pool.begin().await.unwrap(), &ctx, &one).await;
    assert!(matches!(refused, Err(DbError::UnsafeLogin { .. })));
}

#[tokio::test]
async fn staff_work_is_in_the_audit_log_even_when_it_fails() {
    let (kernel, ctx, one, _) = two_shops().await;
    let reason = Reason::new("looking into ticket 4711").unwrap();
    let seen = kernel.app.db().operator(&ctx, &reason, async |tx: &mut OperatorTx| {
        let all = shop::names(tx).await?;
        tx.enter(one.id(), async |tx: &mut TenantTx| {
            shop::insert(tx, "replaced").await.map_err(DbError::from)
        })
        .await?;
        Err::<(), _>(if all == ["bread", "cheese"] {
            DbError::Abandoned
        } else {
            DbError::NoLogin("all rows")
        })
    });
    assert!(matches!(seen.await, Err(DbError::Abandoned)));
    let mut admin = kernel.admin().await;
    let logged: Vec<String> = sqlx::query_scalar(
        "SELECT metadata->>'reason' FROM kernel_core.audit_unsealed WHERE action = 'core.operator.open'",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(logged, ["looking into ticket 4711"]);
    assert!(Reason::new("because").is_err());

    let user = kernel.user(ctx.new_id());
    let refused = kernel
        .app
        .db()
        .operator(&user, &reason, async |tx: &mut OperatorTx| shop::names(tx).await.map_err(DbError::from));
    assert!(matches!(refused.await, Err(DbError::NotStaff)));
}

#[tokio::test]
async fn staff_inside_a_workspace_see_that_one_only_and_change_nothing_of_the_systems() {
    let (kernel, ctx, one, _) = two_shops().await;
    let reason = Reason::new("looking into ticket 4711").unwrap();
    let seen = kernel.app.db().operator(&ctx, &reason, async |tx: &mut OperatorTx| {
        let inside =
            tx.enter(one.id(), async |tx: &mut TenantTx| Ok::<_, DbError>(shop::names(tx).await?)).await?;
        Ok::<_, DbError>((inside, shop::names(tx).await?))
    });
    let (inside, outside) = seen.await.unwrap();
    assert_eq!((inside, outside), (vec!["bread".to_owned()], vec!["bread".to_owned(), "cheese".to_owned()]));
}

/// What a handler may leave on its connection: a workspace, a limit, a cursor.
pub(crate) async fn leave_things(tx: &mut TenantTx) -> Result<(), DbError> {
    let session = format!("SELECT set_config('app.workspace_id', '{}', false)", tx.workspace_id().uuid());
    tx.conn().execute(sqlx::AssertSqlSafe(session)).await?;
    tx.conn().execute("SET statement_timeout = 0").await?;
    tx.conn().execute("DECLARE kept CURSOR WITH HOLD FOR SELECT name FROM shop.item").await?;
    Ok(())
}

/// On the one connection of `db`; `other` is the shop with the cheese.
pub(crate) async fn assert_nothing_left(db: &Db, ctx: &Ctx, other: &kernel_core::Workspace) {
    let without = db.lookup(async |conn: &mut PgConnection| {
        Ok::<_, DbError>(sqlx::query_scalar::<_, String>("SELECT name FROM shop.item").fetch_all(conn).await?)
    });
    assert!(without.await.unwrap().is_empty(), "{ctx:?}");
    let fetched = db.tenant(ctx, other, async |tx: &mut TenantTx| {
        let limit: String = sqlx::query_scalar("SHOW statement_timeout").fetch_one(tx.conn()).await?;
        assert_eq!(limit, "5s");
        assert_eq!(shop::names(tx).await?, ["cheese"]);
        tx.conn().execute("FETCH ALL FROM kept").await.map_err(DbError::from)
    });
    let message = std::error::Error::source(&fetched.await.unwrap_err()).unwrap().to_string();
    assert!(message.contains("does not exist"), "{message}");
}

#[tokio::test]
async fn nothing_of_a_workspace_stays_on_the_connection() {
    let (kernel, ctx, one, other) = two_shops().await;
    let mut config = kernel.database.logins().config();
    config.max_connections = 1;
    let db = Db::new(&config).unwrap();
    for reading in [false, true] {
        let ctx = if reading { ctx.reading() } else { ctx.clone() };
        db.tenant(&ctx, &one, async |tx: &mut TenantTx| leave_things(tx).await).await.unwrap();
        assert_nothing_left(&db, &ctx, &other).await;
    }
    let staged = db.tenant(&ctx, &one, async |tx: &mut TenantTx| {
        let staging = "CREATE TEMPORARY TABLE staged AS SELECT name FROM shop.item";
        tx.conn().execute(staging).await.map_err(DbError::from)
    });
    let message = std::error::Error::source(&staged.await.unwrap_err()).unwrap().to_string();
    assert!(message.contains("permission denied"), "{message}");
    db.close().await;
}

#[tokio::test]
async fn a_workspace_stays_founded_whatever_is_swept() {
    let (kernel, ctx, one, _) = two_shops().await;
    let swept = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        tx.conn().execute("DELETE FROM kernel_core.tenant").await.map_err(DbError::from)
    });
    let message = std::error::Error::source(&swept.await.unwrap_err()).unwrap().to_string();
    assert!(message.contains("permission denied"), "{message}");
}

#[tokio::test]
async fn work_for_after_the_commit_is_done_for_what_was_kept_and_cannot_fail_the_rest() {
    let (kernel, ctx, one, _) = two_shops().await;
    let done = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let later = |what: &'static str| {
        let done = done.clone();
        move || done.lock().unwrap().push(what)
    };
    let kept = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        tx.after_commit(later("before"));
        let undone = tx.nested(async |tx: &mut TenantTx| {
            tx.after_commit(later("undone"));
            Err::<(), _>(DbError::Abandoned)
        });
        assert!(undone.await.is_err());
        tx.after_commit(|| panic!("on purpose"));
        tx.after_commit(later("after"));
        Ok::<_, DbError>(())
    });
    kept.await.unwrap();
    let failed = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        tx.after_commit(later("rolled back"));
        Err::<(), _>(DbError::Abandoned)
    });
    assert!(failed.await.is_err());
    assert_eq!(*done.lock().unwrap(), ["before", "after"]);
}

#[tokio::test]
async fn an_adopted_transaction_may_do_what_its_context_may() {
    let (kernel, ctx, one, _) = two_shops().await;
    let pool =
        PgPool::connect(&kernel.database.logins().of(&kernel_core::testkit::roles().app)).await.unwrap();
    let mut tx = kernel.app.db().adopt(pool.begin().await.unwrap(), &ctx.reading(), &one).await.unwrap();
    assert_eq!(shop::names(&mut tx).await.unwrap(), ["bread"]);
    let message = shop::insert(&mut tx, "butter").await.unwrap_err().to_string();
    assert!(message.contains("read-only transaction"), "{message}");
}

#[tokio::test]
async fn a_text_that_cannot_be_stored_is_the_senders_mistake() {
    let (kernel, ctx, one, _) = two_shops().await;
    let refused = kernel
        .app
        .db()
        .tenant(&ctx, &one, async |tx: &mut TenantTx| shop::insert(tx, "a\0b").await.map_err(DbError::from));
    let error = kernel_core::Error::from(refused.await.unwrap_err());
    assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "unusable_text"));
}

#[tokio::test]
async fn the_audit_log_takes_rows_and_lets_none_go() {
    let (kernel, ctx, one, _) = two_shops().await;
    for statement in ["UPDATE kernel_core.audit_log SET action = 'x'", "DELETE FROM kernel_core.audit_log"] {
        let result = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
            audit(
                tx,
                AuditEntry::new(AuditAction::new("shop.item.sell")).target("workspace", tx.workspace_id()),
            )
            .await?;
            tx.conn().execute(statement).await.map_err(DbError::from)
        });
        let message = std::error::Error::source(&result.await.unwrap_err()).unwrap().to_string();
        assert!(message.contains("permission denied"), "{message}");
    }
}

#[tokio::test]
async fn a_nested_begin_by_the_product_is_a_savepoint() {
    let (kernel, ctx, one, other) = two_shops().await;
    let seen = kernel.app.db().tenant(&ctx, &one, async |tx: &mut TenantTx| {
        let inner = Connection::begin(tx.conn()).await?;
        inner.commit().await?;
        shop::names(tx).await.map_err(DbError::from)
    });
    assert_eq!(seen.await.unwrap(), ["bread"]);
    assert_ne!(one.id(), other.id());
    let mut conn = PgConnection::connect(&kernel.database.logins().admin()).await.unwrap();
    conn.execute("SELECT 1").await.unwrap();
}
