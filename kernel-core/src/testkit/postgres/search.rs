//! What to look for, and where.

use std::path::{Path, PathBuf};

use super::installation::USUAL_PLACES;

/// What to look for, and where. [`Search::new`] and [`Search::from_env`] fill it in; change what does not fit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Search {
    /// A server to use instead of a private one, as a superuser's URL.
    pub url: Option<String>,
    /// The build's target folder: private clusters lie in its folder `postgres`.
    pub target_dir: PathBuf,
    /// The user's cache: fetched programs lie in its folder `postgres`.
    pub cache_dir: PathBuf,
    /// Where clusters and programs go when the server's account cannot enter the two above.
    pub temp_dir: PathBuf,
    /// A file system in memory, for a cluster that need not outlive its users: it lies there if there is room (6 GiB), and
    /// is removed when the last of them is gone. Databases are made there ten times as fast.
    pub memory_dir: Option<PathBuf>,
    /// Accept only this major version.
    pub major: Option<u32>,
    /// A folder with PostgreSQL's programs, tried before all others.
    pub bin_dir: Option<PathBuf>,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// Where else installers put the programs; one `*` stands for the rest of a folder's name.
    pub usual_places: Vec<String>,
    /// May fetch programs from a registry, or install the system's package under root.
    pub install: bool,
    /// The private cluster's name. Searches with the same name share a cluster and what lies in it.
    pub cluster: String,
    /// Survive a crash of the machine, as a server in production does; without it, writing is much faster.
    pub durable: bool,
}

impl Search {
    /// A search that knows of no `PATH` and of no named server.
    pub fn new(target_dir: impl Into<PathBuf>, cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            url: None,
            target_dir: target_dir.into(),
            cache_dir: cache_dir.into(),
            temp_dir: PathBuf::from("/tmp"),
            memory_dir: None,
            major: None,
            bin_dir: None,
            path: Vec::new(),
            usual_places: USUAL_PLACES.iter().map(|&place| place.to_owned()).collect(),
            install: true,
            cluster: "test".to_owned(),
            durable: false,
        }
    }

    /// A search as the environment has it: `KERNEL_PG_URL` or else `DATABASE_URL` names a server, `KERNEL_PG_MAJOR` a
    /// version, `KERNEL_PG_BIN` a folder with programs, `KERNEL_PG_MEMORY` a file system in memory.
    #[expect(
        clippy::disallowed_methods,
        reason = "for tests and development commands, whose configuration this is"
    )]
    pub fn from_env(target_dir: impl Into<PathBuf>) -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cache = read("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| read("HOME").map(|home| Path::new(&home).join(".cache")));
        let target_dir = target_dir.into();
        let cache = cache.map_or_else(|| target_dir.join("cache"), |cache| cache.join("saas-kernel"));
        Self {
            url: read("KERNEL_PG_URL").or_else(|| read("DATABASE_URL")),
            // What is no version must not mean any version: there is no PostgreSQL 0.
            major: read("KERNEL_PG_MAJOR").map(|major| major.parse().unwrap_or_default()),
            bin_dir: read("KERNEL_PG_BIN").map(PathBuf::from),
            memory_dir: read("KERNEL_PG_MEMORY").map(PathBuf::from),
            path: read("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
            ..Self::new(target_dir, cache)
        }
    }

    /// A program on the path.
    pub(in crate::testkit) fn tool(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().map(|dir| dir.join(name)).find(|program| program.is_file())
    }
}
