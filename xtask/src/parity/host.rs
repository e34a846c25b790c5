//! The three hosts: a framework's server twice, and the app in memory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Router;
use kernel_core::testkit::TestKernel;
use kernel_core::{App, Config};
use tokio::sync::oneshot;

use super::fault::Fault;
use super::pillar::Runs;
use super::world::{self, Seed, World};

/// What serves the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Axum,
    Actix,
    Memory,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Actix => "actix",
            Self::Memory => "memory",
        }
    }
}

/// Where requests in memory come from, as those over the loopback interface do.
pub(super) const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Between two cases: every quota is whole again.
const BETWEEN: i64 = 2;

/// A host with its own database, clock and randomness, and an app for every world.
pub(super) struct Host {
    pub(super) seed: Seed,
    pub(super) runs: Runs,
    apps: Vec<(World, App, Option<Server>)>,
    base: Config,
    _kernel: TestKernel,
}

/// A server in a runtime of its own, as a product's program would have.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Host {
    /// Starts the servers, with a fault around the adapter if there is to be one.
    pub(super) async fn start(kind: Kind, fault: Option<Fault>) -> Result<Self> {
        let (runs, base) = (Runs::default(), world::base());
        let first = World::Path.config(&base);
        let kernel = TestKernel::try_with(first, |app| world::register(app, &runs))
            .await
            .map_err(|p| anyhow!("{p}"))?;
        base.entropy.reseed(0);
        let seed = Seed::plant(&kernel.app).await?;
        let mut apps = Vec::new();
        for world in World::ALL {
            let mut config = world.config(&base);
            if let Some(fault) = fault {
                fault.configure(&mut config);
            }
            let builder = App::builder(kernel.app.db().clone(), config);
            let app =
                world::register(builder, &runs).build().await.map_err(|problems| anyhow!("{problems}"))?;
            let server = match kind {
                Kind::Memory => None,
                kind => Some(Server::start(kind, &app, fault)?),
            };
            apps.push((world, app, server));
        }
        Ok(Self { seed, runs, apps, base, _kernel: kernel })
    }

    /// Sets everything that is not in the database to what it is on every host before this case.
    pub(super) fn prepare(&self, number: usize) {
        self.base.entropy.reseed(1 + number as u64);
        self.base.clock.advance(chrono::TimeDelta::minutes(BETWEEN));
    }

    pub(super) fn app(&self, world: World) -> &App {
        let found = self.apps.iter().find(|(of, ..)| *of == world);
        &found.expect("an app was built for every world").1
    }

    /// Where the world's server listens; in memory nobody does.
    pub(super) fn address(&self, world: World) -> Option<SocketAddr> {
        let found = self.apps.iter().find(|(of, ..)| *of == world)?;
        found.2.as_ref().map(|server| server.address)
    }

    /// Stops the servers; `false` when one did not stop within its time.
    pub(super) async fn stop(self) -> Result<bool> {
        let mut in_time = true;
        for server in self.apps.into_iter().filter_map(|(.., server)| server) {
            // It may have stopped by itself, which is an error that joining tells.
            let _ = server.stop.send(());
            let joined = tokio::task::spawn_blocking(move || server.thread.join());
            match tokio::time::timeout(Duration::from_secs(15), joined).await {
                Ok(joined) => {
                    joined?.map_err(|_| anyhow!("a server panicked"))?.context("a server failed")?;
                }
                Err(_) => in_time = false,
            }
        }
        Ok(in_time)
    }
}

impl Server {
    fn start(kind: Kind, app: &App, fault: Option<Fault>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        let (address, app) = (listener.local_addr()?, app.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let shutdown = async {
                // Also when whoever started it is gone.
                let _ = stopped.await;
            };
            if kind == Kind::Actix {
                let routes = kernel_actix::configure(app.clone());
                return runtime.block_on(kernel_actix::serve(&app, listener, routes, shutdown));
            }
            let routes = kernel_axum::mount(Router::new(), app.clone());
            let routes = fault.map_or_else(|| routes.clone(), |fault| fault.wrap(routes.clone()));
            runtime.block_on(kernel_axum::serve(&app, listener, routes, shutdown))
        });
        Ok(Self { address, stop, thread })
    }
}
