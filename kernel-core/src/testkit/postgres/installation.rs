//! Where PostgreSQL's programs are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::account::Account;

/// The oldest major version that the kernel runs on.
pub(super) const OLDEST: u32 = 15;

/// Where installers put PostgreSQL: Debian, Fedora, source builds, Alpine, Homebrew, MacPorts, Postgres.app.
/// `*` stands for the rest of one folder's name.
pub(super) const USUAL_PLACES: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/opt/local/lib/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// A folder with the server's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Installation {
    pub(super) bin_dir: PathBuf,
    pub(super) major: u32,
}

impl Installation {
    /// The installation in `bin_dir`, if it is whole and `account` can run it.
    pub(super) fn at(bin_dir: &Path, account: Account) -> Option<Self> {
        // A link in /usr/local/bin stands for the folder it leads to: initdb looks for its files beside itself.
        let postgres = fs::canonicalize(bin_dir.join("postgres")).ok()?;
        let bin_dir = postgres.parent()?.to_owned();
        if !["initdb", "pg_ctl"].iter().all(|program| bin_dir.join(program).is_file()) {
            return None;
        }
        let out = account.command(&postgres).arg("--version").output().ok()?;
        let major = parse_major(&String::from_utf8(out.stdout).ok()?)?;
        Some(Self { bin_dir, major })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    /// Whether the server can load this library: an answer from where installers put it.
    pub(super) fn has_library(&self, name: &str) -> bool {
        let (Some(prefix), Some(own)) = (self.bin_dir.parent(), self.bin_dir.file_name()) else {
            return false;
        };
        // The last one is Alpine's, whose programs are in /usr/libexec.
        let beside = Path::new("../lib").join(own);
        ["lib", "lib/postgresql", "lib64", "lib64/pgsql"]
            .iter()
            .map(Path::new)
            .chain([beside.as_path()])
            .flat_map(|dir| ["so", "dylib"].map(|ending| prefix.join(dir).join(format!("{name}.{ending}"))))
            .any(|library| library.is_file())
    }
}

/// Installations in `first`, in that order, then those in `places`, the newest first; older than [`OLDEST`] do not count.
pub(super) fn local(first: &[PathBuf], places: &[String], account: Account) -> Vec<Installation> {
    let named = first.iter().filter_map(|dir| Installation::at(dir, account));
    let mut usual: Vec<_> = places
        .iter()
        .flat_map(|place| expand(place))
        .filter_map(|dir| Installation::at(&dir, account))
        .collect();
    usual.sort_by_key(|found| std::cmp::Reverse(found.major));
    let mut seen = BTreeSet::new();
    named.chain(usual).filter(|found| found.major >= OLDEST && seen.insert(found.bin_dir.clone())).collect()
}

/// `18` out of `postgres (PostgreSQL) 18.6 (Debian …)`, `18beta1` or `19devel`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.strip_prefix("postgres (PostgreSQL) ")?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).map_or(number, |end| &number[..end]);
    digits.parse().ok()
}

/// The folders that `place` stands for; it has at most one `*`, at the end of a folder's name.
fn expand(place: &str) -> Vec<PathBuf> {
    let Some((before, after)) = place.split_once('*') else { return vec![PathBuf::from(place)] };
    let slash = before.rfind('/').map_or(0, |slash| slash + 1);
    let (parent, prefix) = before.split_at(slash);
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| PathBuf::from(format!("{}{after}", entry.path().display())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_previews() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_major("postgres (PostgreSQL) 19devel"), Some(19));
        assert_eq!(parse_major("psql (PostgreSQL) 15.1"), None);
        assert_eq!(parse_major(""), None);
    }

    #[test]
    fn a_place_with_a_star_stands_for_each_folder_that_fits() {
        let found = expand("/pro*/self");
        assert!(found.contains(&PathBuf::from("/proc/self")) || !Path::new("/proc/self").exists());
        assert_eq!(expand("/a/b"), [PathBuf::from("/a/b")]);
        assert!(expand("/no such folder/*/bin").is_empty());
    }
}
