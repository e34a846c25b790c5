//! The program that is killed: an app behind axum, started and told what to do through its standard input.

use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;

use anyhow::{Context, Result};
use axum::Router;
use kernel_core::{Db, DbConfig};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use super::fault::Fault;
use super::product;

/// What a host is told first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    /// The app's login.
    pub(super) url: String,
    pub(super) port: u16,
    pub(super) fault: Option<Fault>,
}

/// What a host says when it could serve.
pub(super) const READY: &str = "ready";
/// What it is told then.
pub(super) const SERVE: &str = "serve";
/// What it says when it does.
pub(super) const SERVING: &str = "serving";

/// Builds the app, waits for its turn, serves. It ends when whoever started it does.
///
/// # Errors
///
/// When the app cannot be built or the port not be had.
pub async fn run() -> Result<ExitCode> {
    let mut told = BufReader::new(tokio::io::stdin()).lines();
    let order = told.next_line().await?.context("a host needs an order")?;
    let order: Order = serde_json::from_str(&order).context("the order cannot be read")?;
    let mut config = DbConfig::new(order.url);
    config.roles = product::roles();
    config.max_connections = 8;
    let app = product::app(&Db::new(&config)?, order.fault).build().await?;
    println!("{READY}");
    if told.next_line().await?.as_deref() != Some(SERVE) {
        return Ok(ExitCode::SUCCESS);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, order.port)).context("the port is taken")?;
    println!("{SERVING}");
    let routes = kernel_axum::mount(Router::new(), app.clone());
    kernel_axum::serve(&app, listener, routes, closed(told)).await?;
    Ok(ExitCode::SUCCESS)
}

async fn closed(mut told: Lines<BufReader<Stdin>>) {
    while let Ok(Some(_)) = told.next_line().await {}
}
