//! A proxy between a client and PostgreSQL that changes statements on their way and counts messages.
//!
//! Proofs use it to take the tenant predicates out of a finished program ([`StripTenantPredicate`]), to plant
//! one fault in one statement ([`Mutate`], [`drop_guc`]), and to count what a request costs on the wire
//! ([`Proxy::counts`]), all without a rebuild. It speaks version 3 of the protocol, in clear only: ask it
//! for TLS and it says no.

mod client;
mod frame;
mod gap;
mod ledger;
mod mutant;
mod parse;
mod predicate;
mod rewrite;
mod serve;
mod server;
mod session;
mod setting;
mod strip;
mod target;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use ledger::{Counts, SeenStatement};
pub use mutant::{Mutant, mutants};
pub use parse::TENANT_COLUMN;
pub use rewrite::{Chain, Identity, Matches, Mutate, Rewrite, Rewriting, Unparsed};
pub use setting::{SettingMutant, TENANT_SETTING, drop_guc, foreign_guc};
pub use strip::StripTenantPredicate;
pub use target::PgTarget;

use ledger::Ledger;

/// Why a proxy could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No port could be had on the loopback interface.
    #[error("the proxy cannot listen")]
    Listen(#[source] std::io::Error),
    /// The URL does not name a PostgreSQL server.
    #[error("not a postgres URL: {0}")]
    Url(String),
}

/// A proxy that listens on a free port of the loopback interface until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts listening, on the runtime of the caller.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    #[expect(clippy::disallowed_methods, reason = "the proxy owns its task and ends it when dropped")]
    pub async fn start(upstream: &PgTarget, rewrite: Arc<dyn Rewrite>) -> Result<Self, Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Error::Listen)?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        let ledger = Arc::new(Ledger::new(rewrite));
        let accepting = tokio::spawn(serve::accept(listener, upstream.clone(), Arc::clone(&ledger)));
        Ok(Self { address, ledger, accepting })
    }

    /// The URL with the proxy's host and port in the place of the server's.
    ///
    /// # Errors
    ///
    /// When it is not a postgres URL.
    pub fn url(&self, db_url: &str) -> Result<String, Error> {
        target::through_port(db_url, self.address.port())
    }

    /// Exchanges the rewrite, on open connections too: a statement that was prepared before is prepared
    /// anew, unseen by the client, when it is next bound.
    ///
    /// A statement prepared by the SQL command `PREPARE` stays as it was.
    pub fn set_rewrite(&self, rewrite: Arc<dyn Rewrite>) {
        self.ledger.set_rewrite(rewrite);
    }

    /// The statements that were prepared or run since the last reset, ordered by text.
    #[must_use]
    pub fn statements(&self) -> Vec<SeenStatement> {
        self.ledger.statements()
    }

    /// The statements that no rewrite could read since the proxy started; [`Self::reset`] keeps them.
    #[must_use]
    pub fn unparsed(&self) -> Vec<Unparsed> {
        self.ledger.unparsed()
    }

    /// What went over the wire since the last reset.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.ledger.counts()
    }

    /// Sets the counts to nought and forgets the statements.
    pub fn reset(&self) {
        self.ledger.reset();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
