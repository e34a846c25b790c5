//! A private cluster: made once, run by a supervising shell, shared by all who look for it.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::time::sleep;

use super::account::Account;
use super::installation::Installation;
use super::system::{free_port, has_room, last_lines, lock, output, random_hex, step};
use super::{NoPostgres, Progress, Search};

const SUPERUSER: &str = "postgres";
const SUPERVISE: &str = include_str!("supervise.sh");

/// Enough for a pool in each of many tests at once.
const SETTINGS: &str = "-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=300";
const NOT_DURABLE: &str = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off";

/// Counts statements, for a database that asks for it.
const COUNTING: &str = "pg_stat_statements";
const COUNT_NOTHING: &str =
    "-c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track=none -c compute_query_id=off";

/// How long a supervisor may take to answer; only a dead one keeps us waiting.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const START_TIMEOUT: Duration = Duration::from_secs(90);
const STOP_TIMEOUT: Duration = Duration::from_secs(35);
const POLL: Duration = Duration::from_millis(5);

/// A running cluster that this process holds on to.
#[derive(Debug)]
pub(super) struct Cluster {
    dir: PathBuf,
    port: u16,
    password: String,
    /// The server's process: in a folder of the same name another one may run later.
    server: Option<u32>,
    seat: Option<Seat>,
    supervisor: Option<Child>,
}

/// A place among the users of a running cluster: the supervisor's pipe, open for writing.
#[derive(Debug)]
struct Seat {
    pipe: File,
    token: String,
}

impl Cluster {
    /// Joins the cluster that `search` names; starts it first, and makes it before that, where needed.
    pub(super) async fn join(
        search: &Search,
        account: Account,
        installation: &Installation,
        progress: Progress<'_>,
    ) -> Result<Self, NoPostgres> {
        let Place { dir, in_memory } = place(search, account, installation)?;
        // Held until the server runs.
        let _lock = lock(&dir.join("lock"), progress).await?;
        Starter { dir, in_memory, account, installation, durable: search.durable }.run(progress).await
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(SUPERUSER)
            .password(&self.password)
            .ssl_mode(PgSslMode::Disable)
            .database("postgres")
    }
}

impl Drop for Cluster {
    /// Says good-bye and, if that was the last user, waits until the server is down and its supervisor has cleared up.
    fn drop(&mut self) {
        let Some(Seat { mut pipe, token }) = self.seat.take() else { return };
        let said = pipe.write_all(format!("bye {token}\n").as_bytes()).is_ok();
        let others_remain = self.dir.join("ack").join(format!("{token}.bye"));
        let until = Instant::now() + STOP_TIMEOUT;
        while said && Instant::now() < until && !others_remain.exists() {
            let supervisor_ended = match &mut self.supervisor {
                Some(supervisor) => supervisor.try_wait().is_ok_and(|status| status.is_some()),
                None => !is_supervised(&self.dir),
            };
            // The server removes its lock file shortly before it ends.
            if supervisor_ended && self.server.is_none_or(|pid| !runs(pid, &self.dir)) {
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

struct Starter<'a> {
    dir: PathBuf,
    in_memory: bool,
    account: Account,
    installation: &'a Installation,
    durable: bool,
}

impl Starter<'_> {
    async fn run(self, progress: Progress<'_>) -> Result<Cluster, NoPostgres> {
        let mut refusals = Vec::new();
        // The port can be taken by somebody else in between, and a killed predecessor may still be at work.
        for _ in 0..5 {
            if let Some(cluster) = self.share().await? {
                return Ok(cluster);
            }
            self.clear_away(progress).await?;
            let fresh = self.make(progress).await?;
            match self.start().await? {
                Ok(cluster) => return Ok(cluster),
                Err(log) => {
                    let transient = ["Address already in use", "could not bind", "postmaster.pid"];
                    if !fresh && !transient.iter().any(|reason| log.contains(reason)) {
                        progress(
                            "PostgreSQL: the old cluster does not start; putting it aside and making a new one",
                        );
                        self.put_aside().map_err(step("putting the old cluster aside"))?;
                    }
                    refusals.push(log);
                }
            }
            sleep(Duration::from_millis(300)).await;
        }
        let detail = refusals.pop().unwrap_or_default();
        Err(NoPostgres::Step { step: format!("starting PostgreSQL in {}", self.dir.display()), detail })
    }

    /// A seat at the running server, if there is one and somebody looks after it.
    async fn share(&self) -> Result<Option<Cluster>, NoPostgres> {
        if postmaster(&self.dir).is_none() {
            return Ok(None);
        }
        let (Some(port), Some(seat)) = (self.port(), self.take_seat().await?) else { return Ok(None) };
        self.cluster(port, seat, None).map(Some)
    }

    fn cluster(&self, port: u16, seat: Seat, supervisor: Option<Child>) -> Result<Cluster, NoPostgres> {
        let password =
            fs::read_to_string(self.dir.join("password")).map_err(step("reading the cluster's password"))?;
        let dir = self.dir.clone();
        Ok(Cluster { server: postmaster(&dir), dir, port, password, seat: Some(seat), supervisor })
    }

    fn port(&self) -> Option<u16> {
        fs::read_to_string(self.dir.join("ready")).ok()?.trim().parse().ok()
    }

    /// Asks the supervisor for a seat; nothing if it does not answer.
    async fn take_seat(&self) -> Result<Option<Seat>, NoPostgres> {
        let what = || step("joining the running PostgreSQL");
        // Also for reading, because that does not wait for the other side.
        let mut pipe = match OpenOptions::new().read(true).write(true).open(self.dir.join("users")) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(what())?,
        };
        let token = random_hex(8).map_err(what())?;
        pipe.write_all(format!("hello {token}\n").as_bytes()).map_err(what())?;
        let answer = self.dir.join("ack").join(&token);
        let until = Instant::now() + ANSWER_TIMEOUT;
        while !answer.exists() {
            // The pipe goes when the supervisor has decided to stop.
            if Instant::now() > until || !self.dir.join("users").exists() {
                return Ok(None);
            }
            sleep(POLL).await;
        }
        Ok(Some(Seat { pipe, token }))
    }

    /// Waits for a server that is going down, and stops one whose supervisor is dead.
    async fn clear_away(&self, progress: Progress<'_>) -> Result<(), NoPostgres> {
        let is_stopping = !self.dir.join("users").exists();
        let until = Instant::now() + if is_stopping { STOP_TIMEOUT } else { Duration::ZERO };
        let goes = || postmaster(&self.dir).is_some() || is_supervised(&self.dir);
        while goes() && Instant::now() < until {
            sleep(Duration::from_millis(20)).await;
        }
        for mode in ["fast", "immediate"] {
            if postmaster(&self.dir).is_some() {
                progress("PostgreSQL: stopping a server that was left behind");
                let mut stop = self.account.command(self.installation.program("pg_ctl"));
                stop.args(["stop", "-w", "-t", "20", "-m", mode, "-D"]).arg(self.data());
                // What counts is whether it is gone afterwards.
                let _ = output("pg_ctl stop", &mut stop).await;
            }
        }
        for leftover in ["users", "ready", "data/postmaster.pid"] {
            remove_file(&self.dir.join(leftover)).map_err(step(format!("removing {leftover}")))?;
        }
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Makes the data folder unless it is there: `true` if it had to be made.
    async fn make(&self, progress: Progress<'_>) -> Result<bool, NoPostgres> {
        if self.data().join("PG_VERSION").exists() {
            return Ok(false);
        }
        progress(&format!(
            "PostgreSQL {}: making a cluster in {}",
            self.installation.major,
            self.dir.display()
        ));
        let what = || step("making the cluster");
        if self.data().exists() {
            self.put_aside().map_err(what())?;
        }
        let part = self.dir.join("data.part");
        let password = self.dir.join("password");
        remove_file(&password).map_err(what())?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password).map_err(what())?;
        file.write_all(random_hex(24).map_err(what())?.as_bytes()).map_err(what())?;
        self.account.own(&password).map_err(what())?;

        let mut refusal = None;
        for locale in locales(self.installation.major) {
            // A folder under the final name is always whole.
            remove_dir(&part).map_err(what())?;
            let mut initdb = self.account.command(self.installation.program("initdb"));
            initdb.args([
                "--username",
                SUPERUSER,
                "--auth-host=password",
                "--auth-local=reject",
                "--encoding=UTF8",
            ]);
            initdb.args(["--no-sync", "--no-instructions", "--pwfile"]).arg(&password).args(*locale);
            match output("initdb", initdb.arg("-D").arg(&part)).await {
                Ok(_) => {
                    fs::rename(&part, self.data()).map_err(what())?;
                    return Ok(true);
                }
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.unwrap_or(NoPostgres::Step { step: "initdb".to_owned(), detail: "no locale".to_owned() }))
    }

    /// Starts the supervisor, and with it the server; the inner error is the end of the server's log.
    async fn start(&self) -> Result<Result<Cluster, String>, NoPostgres> {
        let what = || step("starting PostgreSQL");
        let port = free_port().map_err(what())?;
        let log = self.dir.join("server.log");
        if log.exists() {
            fs::rename(&log, self.dir.join("server.log.1")).map_err(what())?;
        }
        remove_dir(&self.dir.join("ack")).map_err(what())?;
        let mut make = self.account.command("/bin/sh");
        make.args(["-c", "cd \"$0\" && mkdir ack && mkfifo -m 600 users"]).arg(&self.dir);
        output("making the supervisor's pipe", &mut make).await?;
        let pipe = OpenOptions::new().read(true).write(true).open(self.dir.join("users")).map_err(what())?;
        let reading = File::open(self.dir.join("users")).map_err(what())?;

        let mut options = SETTINGS.to_owned();
        if !self.durable {
            options = format!("{options} {NOT_DURABLE}");
            if self.installation.has_library(COUNTING) {
                options = format!("{options} {COUNT_NOTHING}");
            }
        }
        let mut supervisor = self.account.command("/bin/sh");
        supervisor.args(["-c", SUPERVISE, "supervise"]).arg(&self.dir);
        supervisor.arg(self.installation.program("pg_ctl")).arg(port.to_string()).arg(options);
        supervisor.arg(if self.in_memory { "remove" } else { "keep" });
        // A group of its own: an interrupt at the terminal must not reach it.
        supervisor.stdin(reading).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut supervisor = supervisor.spawn().map_err(what())?;

        let until = Instant::now() + START_TIMEOUT;
        while self.port().is_none() {
            let ended = supervisor.try_wait().map_err(what())?.is_some();
            if ended || Instant::now() > until {
                return Ok(Err(last_lines(&fs::read_to_string(&log).unwrap_or_default())));
            }
            sleep(POLL).await;
        }
        let seat = self.take_seat().await?;
        // Closed only now: until then this end kept the supervisor waiting.
        drop(pipe);
        match seat {
            Some(seat) => self.cluster(port, seat, Some(supervisor)).map(Ok),
            None => Ok(Err("its supervisor does not answer".to_owned())),
        }
    }

    /// Keeps the data folder that does not start, in place of the one kept before.
    fn put_aside(&self) -> io::Result<()> {
        let aside = self.dir.join("data.broken");
        remove_dir(&aside)?;
        fs::rename(self.data(), aside)
    }
}

/// Where a cluster lies.
struct Place {
    dir: PathBuf,
    in_memory: bool,
}

/// The cluster's folder, made if need be: in memory where that is wanted and there is room, under the target folder where
/// the server's account can enter it, else among the temporary files. Its name tells apart whatever must not meet in
/// one data folder.
fn place(search: &Search, account: Account, installation: &Installation) -> Result<Place, NoPostgres> {
    let target = fs::canonicalize(&search.target_dir).map_err(step("finding the target folder"))?;
    let mut hash = DefaultHasher::new();
    (account.uid, &installation.bin_dir, &target).hash(&mut hash);
    let durable = if search.durable { "-durable" } else { "" };
    let name =
        format!("{}{durable}-{}-{:08x}", search.cluster, installation.major, hash.finish() & 0xffff_ffff);

    if let Some(memory) = search.memory_dir.as_deref().filter(|dir| !search.durable && dir.is_dir()) {
        let dir = account.shared_dir(memory)?.join(&name);
        // Who comes later joins, however much room is left.
        if dir.join("ready").exists() || has_room(memory) {
            account.private_dir(&dir).map_err(step(format!("making {}", dir.display())))?;
            return Ok(Place { dir, in_memory: true });
        }
    }
    let own = target.join("postgres");
    fs::create_dir_all(&own).map_err(step(format!("making {}", own.display())))?;
    let parent = if account.can("-x", &own) { own } else { account.shared_dir(&search.temp_dir)? };
    let dir = parent.join(name);
    account.private_dir(&dir).map_err(step(format!("making {}", dir.display())))?;
    Ok(Place { dir, in_memory: false })
}

/// The process id in the data folder's lock file, if that process is its server: ids are given out again.
fn postmaster(dir: &Path) -> Option<u32> {
    let lock_file = fs::read_to_string(dir.join("data/postmaster.pid")).ok()?;
    lock_file.lines().next()?.trim().parse().ok().filter(|&pid| runs(pid, dir))
}

/// Whether the supervisor is there; it clears up after the server's end.
fn is_supervised(dir: &Path) -> bool {
    let pid = fs::read_to_string(dir.join("supervisor.pid"));
    pid.is_ok_and(|pid| pid.trim().parse().is_ok_and(|pid| names(pid, dir)))
}

/// Whether this process is a server on the cluster's data folder.
fn runs(pid: u32, dir: &Path) -> bool {
    names(pid, &dir.join("data"))
}

/// Whether there is such a process, and its command line names the path.
fn names(pid: u32, path: &Path) -> bool {
    let command = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(command) => command,
        Err(_) if Path::new("/proc/self").exists() => return false,
        Err(_) => {
            let ps = std::process::Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output();
            ps.map(|out| out.stdout).unwrap_or_default()
        }
    };
    String::from_utf8_lossy(&command).contains(&*path.to_string_lossy())
}

/// What to try, best first: the same order of text everywhere, and upper and lower case beyond ASCII.
fn locales(major: u32) -> &'static [&'static [&'static str]] {
    match major {
        17.. => &[&["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]],
        _ => &[&["--locale=C.UTF-8", "--lc-messages=C"], &["--locale=C"]],
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
