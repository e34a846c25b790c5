//! Slow statements: one line, of the request or of the system's own work, without the values.

use std::time::Duration;

use kernel_core::{DbError, TenantTx, Tx};
use tracing::instrument::WithSubscriber;

use super::super::log::Lines;
use super::super::shop::Shop;

#[tokio::test]
async fn a_slow_statement_is_a_line_that_names_request_and_workspace_and_no_value() {
    let shop = Shop::open().await;
    let mut config = shop.kernel.database.logins().config();
    config.slow_statement = Duration::from_millis(1);
    let db = kernel_core::Db::new(&config).unwrap();
    let ctx = shop.kernel.app.system("test");
    let (lines, log) = Lines::subscriber();
    let work = db.tenant(&ctx, &shop.acme, async |tx: &mut TenantTx| {
        let slow = sqlx::query("SELECT pg_sleep(0.005), $1::text").bind("s3cret").execute(tx.conn()).await;
        slow.map(drop).map_err(DbError::from)
    });
    work.with_subscriber(log).await.unwrap();
    let lines = lines.taken();
    let slow: Vec<_> = lines.iter().filter(|line| line.to_string().contains("pg_sleep")).collect();
    let [slow] = slow.as_slice() else { panic!("{lines:?}") };
    assert_eq!(slow["level"], "WARN");
    assert_eq!(slow["span"]["request_id"], ctx.request_id().to_string());
    assert_eq!(slow["span"]["workspace_id"], shop.acme.id().to_string());
    assert!(slow["fields"]["elapsed_secs"].as_f64().unwrap() >= 0.005);
    assert_eq!(slow["fields"]["rows_returned"], 1);
    assert!(!lines.iter().any(|line| line.to_string().contains("s3cret")), "{lines:?}");
}
