//! Months of the log: made ahead, kept for long enough, dropped whole.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use kernel_core::audit::Broken;
use kernel_core::testkit::{TestKernel, config, roles};
use kernel_core::{App, AuditAction, AuditEntry, Clock, Db, DbError, TenantTx, audit};
use kernel_jobs::Jobs;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{broken, numbers, report, seal, start, tamper, write};
use crate::desk::runner;

/// An app whose clock stands at this moment.
async fn at(moment: &str) -> TestKernel {
    let mut config = config();
    config.clock = Clock::manual(moment.parse().unwrap());
    start(config).await
}

#[tokio::test]
async fn months_beyond_retention_go_and_the_rest_still_verifies() {
    let kernel = at("2019-05-31T23:59:50Z").await;
    let runner = runner(&kernel);
    // Partitions of that time.
    assert_eq!(runner.tend().await.unwrap().failed, 0);
    let (old, both) = (kernel.found_workspace().await, kernel.found_workspace().await);
    write(&kernel, &old, 3).await;
    write(&kernel, &both, 2).await;
    // One row of May commits after the first of June, so that the rows to drop are not those with the lowest numbers.
    let ctx = kernel.app.system("test");
    let late = async |tx: &mut TenantTx| {
        audit(tx, AuditEntry::new(AuditAction::new("test.row.late"))).await?;
        kernel.clock.advance(TimeDelta::seconds(20));
        write(&kernel, &both, 2).await;
        seal(&kernel).await;
        Ok::<_, DbError>(())
    };
    kernel.app.db().tenant(&ctx, &both, late).await.unwrap();
    seal(&kernel).await;
    assert_eq!(numbers(&kernel, &both).await, [1, 2, 3, 4, 5]);

    // 84 months after the end of May, and a moment before.
    let june = "2026-06-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    kernel.clock.advance(june - kernel.clock.now() - TimeDelta::seconds(2));
    runner.tend().await.unwrap();
    assert_eq!(numbers(&kernel, &old).await.len(), 3);
    kernel.clock.advance(TimeDelta::hours(7));
    assert_eq!(runner.tend().await.unwrap().failed, 0);
    assert_eq!(numbers(&kernel, &old).await, Vec::<i64>::new());
    assert_eq!(
        numbers(&kernel, &both).await,
        [3, 4, 5],
        "the seal of the late row stays as a stone in the chain"
    );
    seal(&kernel).await;
    let (report, kept) = report(&kernel, &[]).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.expired, 1);
    write(&kernel, &old, 1).await;
    seal(&kernel).await;
    assert_eq!(numbers(&kernel, &old).await, [4]);
    let again = self::report(&kernel, &kept).await.0;
    assert!(again.is_clean(), "{again:?}");
    let dropped: BTreeSet<String> = sqlx::query_scalar(
        "SELECT metadata->>'month' FROM kernel_core.audit_log WHERE action = 'core.audit.drop'",
    )
    .fetch_all(&mut kernel.admin().await)
    .await
    .unwrap()
    .into_iter()
    .collect();
    assert_eq!(dropped, BTreeSet::from(["2019-05".to_owned()]));
    // What is beyond the floor may be gone; what is not, may not.
    tamper(&kernel, "DELETE FROM kernel_core.audit_log WHERE action = 'test.row.write'").await;
    assert!(broken(&kernel).await.contains(&Broken::Missing));
}

/// The statements that the runbook gives for January 2028, for May 2022 and the roles of tests.
fn mend_of_the_runbook() -> String {
    let book = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runbooks/audit-misplaced.md");
    let book = std::fs::read_to_string(book).unwrap();
    let (_, rest) = book.split_once("```sql\n").unwrap();
    let (statements, _) = rest.split_once("```").unwrap();
    let of_tests = [
        ("2028_01", "2022_05"),
        ("2028-01-01", "2022-05-01"),
        ("2028-02-01", "2022-06-01"),
        ("kernel_owner", "kernel_test_owner"),
    ];
    of_tests.iter().fold(statements.to_owned(), |text, (theirs, ours)| {
        assert!(text.contains(theirs), "{theirs}");
        text.replace(theirs, ours)
    })
}

#[tokio::test]
async fn rows_in_no_months_partition_show_until_they_have_one() {
    let kernel = at("2019-05-10T00:00:00Z").await;
    let workspace = kernel.found_workspace().await;
    let runner = runner(&kernel);
    let misplaced = async || {
        runner.survey().await.unwrap();
        let text = kernel.app.metrics().text();
        text.lines().find_map(|line| line.strip_prefix("kernel_audit_misplaced ")).unwrap().to_owned()
    };
    assert_eq!(misplaced().await, "0");
    assert_eq!(runner.tend().await.unwrap().failed, 0);
    // Three years later the sealer comes before those partitions.
    kernel.clock.advance(TimeDelta::days(3 * 366));
    write(&kernel, &workspace, 2).await;
    let mut other = kernel.admin().await;
    let turn = "BEGIN; SELECT FROM kernel_jobs.chore WHERE name = 'core.audit.partition' FOR UPDATE";
    other.execute(turn).await.unwrap();
    assert_eq!(runner.tend().await.unwrap().failed, 0);
    assert_eq!(numbers(&kernel, &workspace).await, [1, 2], "they are sealed all the same");
    assert_eq!(misplaced().await, "2");
    other.execute("COMMIT").await.unwrap();
    kernel.clock.advance(TimeDelta::hours(7));
    assert_eq!(runner.tend().await.unwrap().failed, 1, "the month's partition cannot be made");

    let logins = kernel.database.logins();
    let mut migrate = PgConnection::connect(&logins.of(&roles().migrate)).await.unwrap();
    let seen = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM kernel_core.audit_log_default");
    assert_eq!(seen.fetch_one(&mut migrate).await.unwrap(), 2, "whoever mends sees them");
    migrate.execute(AssertSqlSafe(mend_of_the_runbook())).await.unwrap();
    assert_eq!(misplaced().await, "0");
    kernel.clock.advance(TimeDelta::hours(7));
    assert_eq!(runner.tend().await.unwrap().failed, 0);
    assert_eq!(broken(&kernel).await, []);
    let db = Db::new(&logins.config()).unwrap();
    let again = App::builder(db, config()).with(Jobs::new()).build().await;
    assert!(again.is_ok(), "the schema is as declared: {again:?}");
}

#[tokio::test]
async fn retention_moves_no_head_while_the_sealer_is_at_work() {
    let kernel = at("2019-05-10T00:00:00Z").await;
    let workspace = kernel.found_workspace().await;
    runner(&kernel).tend().await.unwrap();
    write(&kernel, &workspace, 1).await;
    seal(&kernel).await;
    kernel.clock.advance(TimeDelta::days(366 * 8));
    let mut sealer = kernel.admin().await;
    sealer.execute("BEGIN; SELECT FROM kernel_core.audit_total FOR UPDATE").await.unwrap();
    assert_eq!(runner(&kernel).tend().await.unwrap().failed, 0);
    assert_eq!(numbers(&kernel, &workspace).await, [1]);
    sealer.execute("COMMIT").await.unwrap();
    assert_eq!(runner(&kernel).tend().await.unwrap().failed, 0);
    assert_eq!(numbers(&kernel, &workspace).await, Vec::<i64>::new());
    assert_eq!(broken(&kernel).await, []);
}

#[tokio::test]
async fn a_month_with_a_row_that_nobody_sealed_stays() {
    let kernel = at("2019-05-10T00:00:00Z").await;
    let workspace = kernel.found_workspace().await;
    runner(&kernel).tend().await.unwrap();
    write(&kernel, &workspace, 1).await;
    seal(&kernel).await;
    tamper(&kernel, "DELETE FROM kernel_core.audit_seal").await;
    kernel.clock.advance(TimeDelta::days(366 * 8));
    assert_eq!(runner(&kernel).tend().await.unwrap().failed, 1);
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM kernel_core.audit_log WHERE action = 'test.row.write'")
            .fetch_one(&mut kernel.admin().await)
            .await
            .unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_row_put_beside_a_sealed_one_does_not_hold_up_retention() {
    let kernel = at("2019-05-10T00:00:00Z").await;
    let workspace = kernel.found_workspace().await;
    runner(&kernel).tend().await.unwrap();
    write(&kernel, &workspace, 1).await;
    seal(&kernel).await;
    tamper(&kernel, "INSERT INTO kernel_core.audit_unsealed SELECT * FROM kernel_core.audit_log WHERE action = 'test.row.write'")
        .await;
    kernel.clock.advance(TimeDelta::days(366 * 8));
    // Its seal goes with the others, so it is sealed once more, and then both go.
    for _ in 0..4 {
        runner(&kernel).tend().await.unwrap();
        kernel.clock.advance(TimeDelta::hours(7));
    }
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (TABLE kernel_core.audit_log UNION ALL TABLE kernel_core.audit_unsealed) AS a
         WHERE a.action = 'test.row.write'",
    )
    .fetch_one(&mut kernel.admin().await)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn retention_shorter_than_a_year_is_refused() {
    let mut config = config();
    config.audit.retention_months = 11;
    let refused = TestKernel::try_with(config, |app| app.with(Jobs::new())).await.unwrap_err();
    assert!(refused.to_string().contains("audit rows are kept for 12 to 1200 months"), "{refused}");
}
