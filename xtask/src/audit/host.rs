//! The program that is killed: a worker that seals, told what to do through its standard input.

use std::process::ExitCode;

use anyhow::{Context, Result};
use kernel_core::testkit::{TestKernel, roles};
use kernel_core::{App, Db, DbConfig};
use kernel_jobs::{Jobs, Runner, RunnerConfig};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};

/// What a host is told first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    app: String,
    worker: String,
    fault: Option<String>,
}

impl Order {
    pub(super) fn of(kernel: &TestKernel, fault: Option<&str>) -> Self {
        let (logins, roles) = (kernel.database.logins(), roles());
        Self { app: logins.of(&roles.app), worker: logins.of(&roles.worker), fault: fault.map(str::to_owned) }
    }
}

/// What a host says when it seals.
pub(super) const SEALING: &str = "sealing";

/// Builds the app and runs its worker. It ends when whoever started it does.
///
/// # Errors
///
/// When the app cannot be built.
pub async fn run() -> Result<ExitCode> {
    let mut told = BufReader::new(tokio::io::stdin()).lines();
    let order = told.next_line().await?.context("a host needs an order")?;
    let order: Order = serde_json::from_str(&order).context("the order cannot be read")?;
    let mut db = DbConfig::new(order.app);
    db.worker = Some(order.worker);
    db.roles = roles();
    db.max_connections = 12;
    let app =
        App::builder(Db::new(&db)?, super::config(order.fault.as_deref())).with(Jobs::new()).build().await?;
    let worker = Runner::new(&app, RunnerConfig::default())?;
    println!("{SEALING}");
    worker.run(async { while let Ok(Some(_)) = told.next_line().await {} }).await;
    Ok(ExitCode::SUCCESS)
}
