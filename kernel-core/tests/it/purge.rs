//! What has expired is removed, and nothing else.

use chrono::TimeDelta;
use kernel_core::testkit::TestKernel;
use kernel_core::{ActivityConfig, DbError, Workspace};
use sqlx::{Connection, Executor, PgConnection};

async fn answers(kernel: &TestKernel, workspace: &Workspace, hours: &[i64]) {
    let mut admin = kernel.admin().await;
    for (n, hours) in hours.iter().enumerate() {
        let statement = "INSERT INTO kernel_core.idempotency_key
                 (workspace_id, id, scope_hash, fingerprint, status, answer, created_at, expires_at)
             VALUES ($1, gen_random_uuid(), sha256($2::text::bytea), sha256(''), 200, '', $3, $3)";
        sqlx::query(statement)
            .bind(workspace.id())
            .bind(format!("{n}"))
            .bind(kernel.clock.now() + TimeDelta::hours(*hours))
            .execute(&mut admin)
            .await
            .unwrap();
    }
    admin.close().await.unwrap();
}

async fn rows(kernel: &TestKernel, table: &str) -> i64 {
    let statement = format!("SELECT count(*) FROM kernel_core.{table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&mut kernel.admin().await).await.unwrap()
}

#[tokio::test]
async fn expired_answers_of_all_workspaces_go_a_few_at_a_time() {
    let kernel = TestKernel::start(|app| app).await;
    let (one, two) = (kernel.found_workspace().await, kernel.found_workspace().await);
    answers(&kernel, &one, &[-2, -1, 1]).await;
    answers(&kernel, &two, &[-3, 0, 2]).await;
    let worker = kernel.app.worker().unwrap();
    let purge = async |limit| {
        worker.purge(limit, ActivityConfig::default(), &kernel.clock).await.unwrap().idempotency_keys
    };
    assert_eq!((purge(3).await, purge(3).await, purge(3).await), (3, 1, 0));
    assert_eq!(rows(&kernel, "idempotency_key").await, 2);
    kernel.clock.advance(TimeDelta::hours(1));
    assert_eq!(purge(10).await, 1);
}

#[tokio::test]
async fn counts_go_when_their_quota_has_long_been_whole() {
    let kernel = TestKernel::start(|app| app).await;
    let now = kernel.clock.now();
    for (n, seconds) in [60_i64, 60, 86_400].iter().enumerate() {
        let taken = kernel.app.db().lookup(async |conn: &mut PgConnection| {
            let take = "SELECT got FROM kernel_core.take_rate(md5($1)::uuid, 1, $2, $2, $3)";
            let take = sqlx::query_scalar(take).bind(format!("{n}")).bind(seconds * 1_000_000).bind(now);
            Ok::<i32, DbError>(take.fetch_one(conn).await?)
        });
        assert_eq!(taken.await.unwrap(), 1);
    }
    let worker = kernel.app.worker().unwrap();
    let purge = async |limit| {
        worker.purge(limit, ActivityConfig::default(), &kernel.clock).await.unwrap().rate_limits
    };
    assert_eq!(purge(10).await, 0, "they may still be spent from");
    kernel.clock.advance(TimeDelta::hours(3));
    assert_eq!((purge(1).await, purge(10).await, purge(10).await), (1, 1, 0));
    kernel.clock.advance(TimeDelta::hours(24));
    assert_eq!((purge(10).await, rows(&kernel, "rate_limit").await), (1, 0));
}

#[tokio::test]
async fn cached_values_go_when_they_have_expired_and_versions_when_no_value_can_be_older() {
    let kernel = TestKernel::start(|app| app).await;
    let now = kernel.clock.now();
    for (n, seconds) in [60_i64, 60, 86_400].iter().enumerate() {
        let kept = kernel.app.db().lookup(async |conn: &mut PgConnection| {
            let keep = sqlx::query("SELECT kernel_core.keep_cached(sha256($1::text::bytea), '', $2, $3)");
            Ok::<_, DbError>(keep.bind(format!("{n}")).bind(seconds * 1000).bind(now).execute(conn).await?)
        });
        kept.await.unwrap();
    }
    for workspace in [kernel.found_workspace().await, kernel.found_workspace().await] {
        let bump = "INSERT INTO kernel_core.cache_tag (workspace_id, tag, version, bumped_at)
             SELECT $1, tag, gen_random_uuid(), $2 FROM unnest(ARRAY['a', 'b']) AS tag";
        let bump = sqlx::query(bump).bind(workspace.id()).bind(now);
        bump.execute(&mut kernel.admin().await).await.unwrap();
    }
    let worker = kernel.app.worker().unwrap();
    let purge = async |limit| {
        let purged = worker.purge(limit, ActivityConfig::default(), &kernel.clock).await.unwrap();
        (purged.cache_entries, purged.cache_tags)
    };
    kernel.clock.advance(TimeDelta::seconds(59));
    assert_eq!(purge(10).await, (0, 0));
    kernel.clock.advance(TimeDelta::seconds(1));
    assert_eq!((purge(1).await, purge(10).await, purge(10).await), ((1, 0), (1, 0), (0, 0)));
    kernel.clock.advance(TimeDelta::days(30));
    assert_eq!(purge(10).await, (1, 0), "a value of before the bump may have been kept until now");
    kernel.clock.advance(TimeDelta::days(1));
    assert_eq!((purge(3).await, purge(3).await), ((0, 3), (0, 1)));
}

#[tokio::test]
async fn of_cached_values_five_hundred_go_at_once() {
    let kernel = TestKernel::start(|app| app).await;
    let keep = "INSERT INTO kernel_core.cache_entry (key_hash, sealed_value, expires_at)
         SELECT sha256(n::text::bytea), '', $1 FROM generate_series(1, 700) AS n";
    sqlx::query(keep).bind(kernel.clock.now()).execute(&mut kernel.admin().await).await.unwrap();
    let worker = kernel.app.worker().unwrap();
    let purge =
        async || worker.purge(10_000, ActivityConfig::default(), &kernel.clock).await.unwrap().cache_entries;
    assert_eq!((purge().await, purge().await, purge().await), (500, 200, 0));
}

#[tokio::test]
async fn the_login_that_serves_requests_reaches_no_count_or_cached_value_and_purges_nothing() {
    let kernel = TestKernel::start(|app| app).await;
    for statement in [
        "SELECT kernel_core.purge_idempotency_key(1, NULL)",
        "SELECT kernel_core.purge_rate_limit(1, NULL)",
        "SELECT kernel_core.purge_cache_entry(1, NULL)",
        "SELECT kernel_core.purge_cache_tag(1, NULL)",
        "SELECT sealed_value FROM kernel_core.cache_entry",
        "DELETE FROM kernel_core.cache_entry",
        "DELETE FROM kernel_core.cache_tag",
        "SELECT id FROM kernel_core.rate_limit",
        "DELETE FROM kernel_core.rate_limit",
    ] {
        let refused = kernel.app.db().lookup(async |conn: &mut PgConnection| {
            Ok::<_, DbError>(conn.execute(statement).await?.rows_affected())
        });
        let DbError::Sql(refused) = refused.await.unwrap_err() else { panic!("{statement}") };
        assert!(refused.to_string().contains("permission denied"), "{statement}: {refused}");
    }
}
