//! The account that a server runs under: PostgreSQL and PgBouncer refuse to run as root.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::NoPostgres;
use super::system::step;

/// Who runs the server: the caller's own account or, under root, one with fewer rights.
#[derive(Clone, Copy, Debug)]
pub(in crate::testkit) struct Account {
    pub(in crate::testkit) uid: u32,
    gid: u32,
    caller_uid: u32,
}

impl Account {
    /// The account to use; `dir` is a folder that the caller can write to, and so see whose its own files are.
    pub(in crate::testkit) fn find(dir: &Path) -> Result<Self, NoPostgres> {
        let probe = dir.join(format!(".account-{}", std::process::id()));
        let own = fs::write(&probe, []).and_then(|()| fs::metadata(&probe));
        let own = own.map_err(step(format!("writing to {}", dir.display())))?;
        fs::remove_file(&probe).map_err(step(format!("removing {}", probe.display())))?;
        if own.uid() != 0 {
            return Ok(Self { uid: own.uid(), gid: own.gid(), caller_uid: own.uid() });
        }
        ["postgres", "nobody"].into_iter().find_map(Self::named).ok_or_else(|| NoPostgres::Step {
            step: "looking for an account to run PostgreSQL under".to_owned(),
            detail: "it refuses to run as root, and there is neither a user postgres nor nobody".to_owned(),
        })
    }

    pub(in crate::testkit) fn is_under_root(self) -> bool {
        self.caller_uid == 0
    }

    fn named(name: &str) -> Option<Self> {
        let id = |flag| {
            let out = Command::new("id").args([flag, name]).stderr(Stdio::null()).output().ok()?;
            String::from_utf8(out.stdout).ok()?.trim().parse().ok()
        };
        Some(Self { uid: id("-u")?, gid: id("-g")?, caller_uid: 0 })
    }

    /// A command that runs under this account, speaks English and ignores the caller's PostgreSQL settings.
    pub(in crate::testkit) fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        for name in [
            "PGCLIENTENCODING",
            "PGDATA",
            "PGDATABASE",
            "PGHOST",
            "PGHOSTADDR",
            "PGOPTIONS",
            "PGPASSFILE",
            "PGPORT",
            "PGREQUIRESSL",
            "PGSERVICE",
            "PGSSLMODE",
            "PGTZ",
            "PGUSER",
        ] {
            command.env_remove(name);
        }
        if self.is_under_root() {
            // This also drops the supplementary groups.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Makes `path` a folder that this account alone can enter, or checks that it is one.
    pub(in crate::testkit) fn private_dir(self, path: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Somebody else may have been there first, where the parent is open to all.
                let found = fs::symlink_metadata(path)?;
                let is_closed_to_others = found.permissions().mode().trailing_zeros() >= 6;
                if found.is_dir() && found.uid() == self.uid && is_closed_to_others {
                    return Ok(());
                }
                return Err(io::Error::other("the folder belongs to somebody else"));
            }
            made => made?,
        }
        self.own(path)
    }

    /// Gives a file that the caller has made to this account.
    pub(in crate::testkit) fn own(self, path: &Path) -> io::Result<()> {
        if self.is_under_root() { chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// Whether this account can use `path`; `test` is a flag of test(1), such as `-x`.
    pub(in crate::testkit) fn can(self, test: &str, path: &Path) -> bool {
        let status = self.command("/bin/sh").args(["-c", "test \"$0\" \"$1\"", test]).arg(path).status();
        status.is_ok_and(|status| status.success())
    }

    /// A folder for temporary files that belongs to the caller, and that others can enter but not change.
    pub(in crate::testkit) fn shared_dir(self, temp_dir: &Path) -> Result<PathBuf, NoPostgres> {
        let dir = temp_dir.join(format!("kernel-postgres-{}", self.caller_uid));
        let what = || step(format!("making {}", dir.display()));
        match fs::DirBuilder::new().mode(0o755).create(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(&dir).map_err(what())?;
                if !found.is_dir() || found.uid() != self.caller_uid || found.permissions().mode() & 0o22 != 0
                {
                    return Err(what()(io::Error::other("it belongs to somebody else")));
                }
            }
            made => made.map_err(what())?,
        }
        Ok(dir)
    }
}
