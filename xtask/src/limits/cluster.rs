//! Nodes: apps with pools of their own on one database.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use kernel_core::testkit::TestKernel;
use kernel_core::{App, Db};

use super::fault::Fault;
use super::product::{self, Tight};
use crate::wire::{Identity, PgTarget, Proxy};

pub(super) const NODES: usize = 8;

/// The nodes and what they stand on.
pub(super) struct Cluster {
    pub(super) nodes: Vec<App>,
    /// Everything that the nodes ask the database for goes through it.
    pub(super) proxy: Proxy,
    _kernel: TestKernel,
}

impl Cluster {
    pub(super) async fn start(tight: Tight, fault: Option<Fault>) -> Result<Self> {
        let mut config = tight.config();
        if let Some(fault) = fault {
            fault.configure(&mut config);
        }
        let kernel = TestKernel::try_with(config.clone(), |app| app.with(product::pillar())).await;
        let kernel = kernel.map_err(|problems| anyhow!("{problems}"))?;
        let mut db = kernel.database.logins().config();
        let proxy = Proxy::start(&PgTarget::from_url(&db.app)?, Arc::new(Identity)).await?;
        (db.app, db.worker, db.operator) = (proxy.url(&db.app)?, None, None);
        db.max_connections = 4;
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let node = App::builder(Db::new(&db)?, config.clone()).with(product::pillar()).build().await;
            nodes.push(node.map_err(|problems| anyhow!("{problems}"))?);
        }
        if let Some(fault) = fault {
            fault.plant(&mut kernel.admin().await).await?;
        }
        Ok(Self { nodes, proxy, _kernel: kernel })
    }

    /// How often the nodes have asked for something to spend.
    pub(super) fn takes(&self) -> u64 {
        let seen = self.proxy.statements();
        seen.iter().filter(|seen| seen.sql.contains("take_rate")).map(|seen| seen.count).sum()
    }
}
