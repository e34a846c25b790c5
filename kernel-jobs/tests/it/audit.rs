//! The audit log: sealed by the runner's chore, verified under the operator login, kept in partitions.

mod partition;

use std::sync::Arc;

use chrono::TimeDelta;
use kernel_core::audit::{AuditFilter, AuditOrder, Broken, Checkpoint, Report, list, verify};
use kernel_core::testkit::{self, TestKernel, config};
use kernel_core::{AuditAction, AuditEntry, Config, DbError, GlobalTx, Reason, TenantTx, Workspace, audit};
use kernel_jobs::Jobs;
use sqlx::{AssertSqlSafe, Executor};
use tokio::sync::oneshot;

use crate::desk::runner;

async fn start(config: Config) -> TestKernel {
    TestKernel::with(config, |app| app.with(Jobs::new())).await
}

async fn write(kernel: &TestKernel, workspace: &Workspace, rows: usize) {
    let ctx = kernel.app.system("test");
    for row in 0..rows {
        let entry = || AuditEntry::new(AuditAction::new("test.row.write")).detail("row", row);
        let written =
            kernel.app.db().tenant(&ctx, workspace, async |tx: &mut TenantTx| audit(tx, entry()).await);
        written.await.unwrap();
    }
}

/// Lets the sealer do what it would have done by now.
async fn seal(kernel: &TestKernel) {
    kernel.clock.advance(TimeDelta::seconds(1));
    assert_eq!(runner(kernel).tend().await.unwrap().failed, 0);
}

async fn report(kernel: &TestKernel, known: &[Checkpoint]) -> (Report, Vec<Checkpoint>) {
    let (ctx, reason) = (kernel.app.system("test"), Reason::new("a test verifies the log").unwrap());
    let mut seen = Vec::new();
    let report = verify(&kernel.app, &ctx, &reason, known, &mut |checkpoint| seen.push(checkpoint)).await;
    (report.unwrap(), seen)
}

async fn broken(kernel: &TestKernel) -> Vec<Broken> {
    report(kernel, &[]).await.0.findings.into_iter().map(|finding| finding.broken).collect()
}

async fn numbers(kernel: &TestKernel, workspace: &Workspace) -> Vec<i64> {
    sqlx::query_scalar("SELECT seq FROM kernel_core.audit_seal WHERE workspace_id = $1 ORDER BY seq")
        .bind(workspace.id())
        .fetch_all(&mut kernel.admin().await)
        .await
        .unwrap()
}

/// As a superuser whom no trigger stops.
async fn tamper(kernel: &TestKernel, statement: &str) {
    let mut admin = kernel.admin().await;
    admin.execute("SET session_replication_role = replica").await.unwrap();
    admin.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
}

#[tokio::test]
async fn rows_are_numbered_per_workspace_without_gaps_and_verify() {
    let kernel = start(config()).await;
    let (here, there) = (kernel.found_workspace().await, kernel.found_workspace().await);
    write(&kernel, &here, 3).await;
    write(&kernel, &there, 2).await;
    seal(&kernel).await;
    write(&kernel, &here, 2).await;
    seal(&kernel).await;
    assert_eq!(numbers(&kernel, &here).await, [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&kernel, &there).await, [1, 2]);
    let (report, checkpoints) = report(&kernel, &[]).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.sealed, report.workspaces, checkpoints.len()), (7, 3, 2));
    // That somebody verified is in the log too, and waits for the sealer.
    assert_eq!(report.unsealed, 1);
}

#[tokio::test]
async fn a_row_that_commits_late_is_sealed_late_and_never_skipped() {
    let kernel = Arc::new(start(config()).await);
    let workspace = kernel.found_workspace().await;
    let (commit, held) = oneshot::channel::<()>();
    let (written, is_written) = oneshot::channel();
    let slow = tokio::spawn({
        let (kernel, workspace) = (kernel.clone(), workspace.clone());
        async move {
            let ctx = kernel.app.system("test");
            let late = async |tx: &mut TenantTx| {
                audit(tx, AuditEntry::new(AuditAction::new("test.row.late"))).await?;
                written.send(()).unwrap();
                held.await.unwrap();
                Ok::<_, DbError>(())
            };
            kernel.app.db().tenant(&ctx, &workspace, late).await.unwrap();
        }
    });
    is_written.await.unwrap();
    kernel.clock.advance(TimeDelta::seconds(5));
    write(&kernel, &workspace, 2).await;
    seal(&kernel).await;
    assert_eq!(numbers(&kernel, &workspace).await, [1, 2]);
    commit.send(()).unwrap();
    slow.await.unwrap();
    seal(&kernel).await;
    assert_eq!(numbers(&kernel, &workspace).await, [1, 2, 3]);
    assert_eq!(broken(&kernel).await, []);
}

#[tokio::test]
async fn what_is_undone_leaves_neither_row_nor_mark() {
    let kernel = start(config()).await;
    let workspace = kernel.found_workspace().await;
    let ctx = kernel.app.system("test");
    let undone = kernel.app.db().tenant(&ctx, &workspace, async |tx: &mut TenantTx| {
        audit(tx, AuditEntry::new(AuditAction::new("test.row.undone"))).await?;
        Err::<(), _>(DbError::Abandoned)
    });
    assert!(undone.await.is_err());
    seal(&kernel).await;
    assert_eq!((numbers(&kernel, &workspace).await, broken(&kernel).await), (vec![], vec![]));
}

#[tokio::test]
async fn each_kind_of_change_is_found_where_it_was_made() {
    let cases = [
        (
            "UPDATE kernel_core.audit_log SET action = 'test.row.other' WHERE metadata->>'row' = '2'",
            Broken::Edited,
        ),
        (
            "UPDATE kernel_core.audit_log SET ip_address = '192.0.2.1' WHERE metadata->>'row' = '2'",
            Broken::Edited,
        ),
        ("DELETE FROM kernel_core.audit_log WHERE metadata->>'row' = '2'", Broken::Missing),
        ("DELETE FROM kernel_core.audit_seal WHERE seq = 3", Broken::Link),
        ("UPDATE kernel_core.audit_seal SET digest = sha256('x') WHERE seq = 3", Broken::Link),
        ("DELETE FROM kernel_core.audit_seal WHERE seq = 5", Broken::CutOff),
        ("UPDATE kernel_core.audit_head SET seq = 4", Broken::Head),
        ("DELETE FROM kernel_core.audit_head", Broken::Head),
        ("UPDATE kernel_core.audit_total SET sealed = 4", Broken::Total),
        ("UPDATE kernel_core.audit_total SET code = ''", Broken::Total),
    ];
    let kernel = start(config()).await;
    let workspace = kernel.found_workspace().await;
    write(&kernel, &workspace, 5).await;
    seal(&kernel).await;
    let mut admin = kernel.admin().await;
    admin.execute("SET session_replication_role = replica").await.unwrap();
    for (statement, expected) in cases {
        admin.execute("BEGIN").await.unwrap();
        assert!(admin.execute(statement).await.unwrap().rows_affected() > 0, "{statement}");
        let (report, _) = testkit::audit::verify(&mut admin, &kernel.app, &[]).await.unwrap();
        let found: Vec<_> = report.findings.iter().map(|finding| finding.broken).collect();
        assert!(found.contains(&expected), "{statement}: {found:?}");
        admin.execute("ROLLBACK").await.unwrap();
    }
    let (report, _) = testkit::audit::verify(&mut admin, &kernel.app, &[]).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test]
async fn a_forged_chain_is_found_at_its_head_and_is_not_signed_by_going_on() {
    let kernel = start(config()).await;
    let (forged, other) = (kernel.found_workspace().await, kernel.found_workspace().await);
    write(&kernel, &forged, 3).await;
    seal(&kernel).await;
    tamper(&kernel, "UPDATE kernel_core.audit_log SET action = 'test.row.forged'").await;
    let mut admin = kernel.admin().await;
    testkit::audit::forge(&mut admin, &kernel.app, forged.id(), (1, i64::MAX)).await.unwrap();
    assert_eq!(broken(&kernel).await, [Broken::Head]);
    // Life goes on, but nobody signs what somebody else has written.
    write(&kernel, &forged, 1).await;
    write(&kernel, &other, 1).await;
    seal(&kernel).await;
    assert_eq!((numbers(&kernel, &forged).await.len(), numbers(&kernel, &other).await.len()), (3, 1));
    assert_eq!(broken(&kernel).await, [Broken::Head]);
}

#[tokio::test]
async fn a_log_put_back_to_an_earlier_state_is_found_by_a_checkpoint_that_was_kept() {
    let kernel = start(config()).await;
    let workspace = kernel.found_workspace().await;
    write(&kernel, &workspace, 2).await;
    seal(&kernel).await;
    let mut admin = kernel.admin().await;
    admin.execute("CREATE TABLE public.heads AS SELECT * FROM kernel_core.audit_head").await.unwrap();
    admin.execute("CREATE TABLE public.total AS SELECT * FROM kernel_core.audit_total").await.unwrap();
    write(&kernel, &workspace, 2).await;
    seal(&kernel).await;
    let (_, kept) = report(&kernel, &[]).await;
    assert!(report(&kernel, &kept).await.0.is_clean());
    for statement in [
        "DELETE FROM kernel_core.audit_log AS a USING kernel_core.audit_seal AS s WHERE s.id = a.id AND s.seq > 2",
        "DELETE FROM kernel_core.audit_unsealed",
        "DELETE FROM kernel_core.audit_seal WHERE seq > 2",
        "DELETE FROM kernel_core.audit_head",
        "DELETE FROM kernel_core.audit_total",
        "INSERT INTO kernel_core.audit_head SELECT * FROM public.heads",
        "INSERT INTO kernel_core.audit_total SELECT * FROM public.total",
    ] {
        tamper(&kernel, statement).await;
    }
    assert_eq!(broken(&kernel).await, [], "by itself the earlier state is sound");
    let found = report(&kernel, &kept).await.0.findings;
    assert_eq!(found.iter().map(|finding| finding.broken).collect::<Vec<_>>(), [Broken::Checkpoint]);
}

#[tokio::test]
async fn a_row_under_the_id_of_a_sealed_one_is_found_and_does_not_stop_the_sealer() {
    let kernel = start(config()).await;
    let workspace = kernel.found_workspace().await;
    write(&kernel, &workspace, 2).await;
    seal(&kernel).await;
    tamper(
        &kernel,
        "INSERT INTO kernel_core.audit_unsealed SELECT * FROM kernel_core.audit_log WHERE metadata->>'row' = '1'",
    )
    .await;
    write(&kernel, &workspace, 1).await;
    seal(&kernel).await;
    assert_eq!(numbers(&kernel, &workspace).await, [1, 2, 3]);
    assert_eq!(broken(&kernel).await, [Broken::Repeated]);
    let ctx = kernel.app.system("test").reading();
    let shown =
        async |tx: &mut TenantTx| list(tx, &AuditFilter::default(), AuditOrder::OldestFirst, None, 100).await;
    assert_eq!(kernel.app.db().tenant(&ctx, &workspace, shown).await.unwrap().len(), 3, "shown once");
    // Whoever mends may delete it, because its id has a seal.
    kernel
        .admin()
        .await
        .execute("DELETE FROM kernel_core.audit_unsealed WHERE id IN (SELECT id FROM kernel_core.audit_seal)")
        .await
        .unwrap();
    assert_eq!(broken(&kernel).await, []);
}

#[tokio::test]
async fn a_row_whose_id_is_in_the_log_without_a_seal_does_not_stop_the_sealer() {
    let kernel = start(config()).await;
    let workspace = kernel.found_workspace().await;
    write(&kernel, &workspace, 2).await;
    seal(&kernel).await;
    // As between the two steps of retention, which drops seals before rows.
    tamper(&kernel, "DELETE FROM kernel_core.audit_seal WHERE seq = 1").await;
    tamper(
        &kernel,
        "INSERT INTO kernel_core.audit_unsealed SELECT a.* FROM kernel_core.audit_log AS a
         WHERE a.action = 'test.row.write' AND a.id NOT IN (SELECT s.id FROM kernel_core.audit_seal AS s)",
    )
    .await;
    write(&kernel, &workspace, 1).await;
    seal(&kernel).await;
    assert_eq!(numbers(&kernel, &workspace).await, [2, 3, 4]);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM kernel_core.audit_unsealed")
        .fetch_one(&mut kernel.admin().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_the_log_could_not_take_is_refused_when_it_is_written() {
    let kernel = start(config()).await;
    let workspace = kernel.found_workspace().await;
    write(&kernel, &workspace, 1).await;
    for change in [
        r#"{"target_type": "LONG", "target_id": "00000000-0000-7000-8000-000000000001"}"#,
        r#"{"created_at": "infinity"}"#,
    ] {
        let change = change.replace("LONG", &"x".repeat(101));
        let insert = format!(
            "INSERT INTO kernel_core.audit_unsealed
             SELECT (jsonb_populate_record(a, '{change}'::jsonb || jsonb_build_object('id', gen_random_uuid()))).*
             FROM kernel_core.audit_unsealed AS a LIMIT 1"
        );
        let refused = kernel.admin().await.execute(AssertSqlSafe(insert)).await.unwrap_err();
        assert!(refused.to_string().contains("violates check constraint"), "{refused}");
    }
}

#[tokio::test]
async fn nobody_changes_the_log_or_its_seals() {
    let kernel = start(config()).await;
    let workspace = kernel.found_workspace().await;
    write(&kernel, &workspace, 1).await;
    seal(&kernel).await;
    let logins = kernel.database.logins();
    let urls = [logins.config().app, logins.config().worker.unwrap(), logins.config().operator.unwrap()];
    for url in urls {
        let mut conn = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
        for table in ["audit_log", "audit_seal", "audit_head", "audit_total", "audit_unsealed"] {
            for statement in [
                format!("UPDATE kernel_core.{table} SET id = id"),
                format!("DELETE FROM kernel_core.{table}"),
                format!("TRUNCATE kernel_core.{table}"),
            ] {
                let refused = conn.execute(AssertSqlSafe(statement.clone())).await.unwrap_err();
                let code = refused.as_database_error().and_then(sqlx::error::DatabaseError::code);
                let missing = table == "audit_head" && statement.starts_with("UPDATE");
                assert!(missing || code.as_deref() == Some("42501"), "{statement}: {refused}");
            }
        }
    }
    let mut admin = kernel.admin().await;
    for statement in ["UPDATE kernel_core.audit_log SET action = 'x'", "DELETE FROM kernel_core.audit_log"] {
        assert!(admin.execute(statement).await.is_err(), "a trigger refuses the owner too");
    }
    assert!(admin.execute("TRUNCATE kernel_core.audit_log").await.is_err());
    write(&kernel, &workspace, 1).await;
    for statement in [
        "UPDATE kernel_core.audit_unsealed SET action = 'x'",
        "DELETE FROM kernel_core.audit_unsealed",
        "TRUNCATE kernel_core.audit_unsealed",
    ] {
        assert!(admin.execute(statement).await.is_err(), "{statement}");
    }
    seal(&kernel).await;
    assert_eq!(numbers(&kernel, &workspace).await, [1, 2]);
}

#[tokio::test]
async fn a_workspace_reads_its_own_rows_by_what_they_say() {
    let kernel = start(config()).await;
    let (here, there) = (kernel.found_workspace().await, kernel.found_workspace().await);
    write(&kernel, &here, 3).await;
    write(&kernel, &there, 1).await;
    let since = kernel.clock.now() + TimeDelta::seconds(1);
    kernel.clock.advance(TimeDelta::seconds(1));
    let user = kernel.app.system("test").new_id();
    let ctx = kernel.user(user);
    let deed = AuditEntry::new(AuditAction::new("test.deed")).target("user", user);
    kernel.app.db().tenant(&ctx, &here, async |tx: &mut TenantTx| audit(tx, deed).await).await.unwrap();
    let all = AuditFilter::default();
    let filters = [
        (all.clone(), 4),
        (AuditFilter { actor: Some(user.uuid()), ..all.clone() }, 1),
        (AuditFilter { action: Some("test.row.write".to_owned()), ..all.clone() }, 3),
        (
            AuditFilter { target_type: Some("user".to_owned()), target_id: Some(user.uuid()), ..all.clone() },
            1,
        ),
        (AuditFilter { since: Some(since), ..all.clone() }, 1),
        (AuditFilter { until: Some(since), ..all.clone() }, 3),
    ];
    let ctx = kernel.app.system("test").reading();
    for (filter, expected) in filters {
        for order in [AuditOrder::NewestFirst, AuditOrder::OldestFirst] {
            let rows = kernel.app.db().tenant(&ctx, &here, async |tx: &mut TenantTx| {
                let mut rows = list(tx, &filter, order, None, 2).await?;
                while let Some(last) = rows.last().map(|row| row.id) {
                    let page = list(tx, &filter, order, Some(last), 2).await?;
                    if page.is_empty() {
                        break;
                    }
                    rows.extend(page);
                }
                Ok::<_, DbError>(rows)
            });
            let rows = rows.await.unwrap();
            assert_eq!(rows.len(), expected, "{filter:?}");
            assert!(rows.is_sorted_by(|a, b| (a.id < b.id) == (order == AuditOrder::OldestFirst)));
        }
    }
    let nothing: Result<(), DbError> = kernel.app.db().global(&ctx, async |_: &mut GlobalTx| Ok(())).await;
    nothing.unwrap();
}
