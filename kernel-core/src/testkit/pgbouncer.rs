//! A PgBouncer in transaction mode in front of a server, as many hosts have one.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::time::sleep;

use super::postgres::account::Account;
use super::postgres::distribution::apt_install;
use super::postgres::system::{free_port, last_lines, random_hex, step};
use super::postgres::{NoPostgres, Progress, Search};

/// Runs PgBouncer until standard input closes, which it does when the caller is gone, however it ended.
const SUPERVISE: &str = r#""$0" -q "$1" & bouncer=$!; cat >/dev/null; kill -9 $bouncer; wait $bouncer"#;

const START_TIMEOUT: Duration = Duration::from_secs(15);

/// A running PgBouncer. Dropping it stops it.
#[derive(Debug)]
pub struct PgBouncer {
    dir: PathBuf,
    port: u16,
    logins: Vec<PgConnectOptions>,
    process: Child,
}

impl PgBouncer {
    /// Starts a PgBouncer before the server that `logins` lead to; it knows these logins and no others, and opens at
    /// most `pool_size` connections for each of them and each database.
    ///
    /// Under root, the system's package is installed if there is no PgBouncer.
    ///
    /// # Errors
    ///
    /// When there is no PgBouncer, and when it does not start.
    pub async fn start(
        search: &Search,
        logins: &[PgConnectOptions],
        pool_size: u32,
        progress: Progress<'_>,
    ) -> Result<Self, NoPostgres> {
        fs::create_dir_all(&search.target_dir).map_err(step("making the target folder"))?;
        let account = Account::find(&search.target_dir)?;
        if program(search).is_none() {
            apt_install(search, account, "pgbouncer", progress).await?;
        }
        let program = program(search).ok_or_else(|| failed("the package pgbouncer brought no pgbouncer"))?;
        let dir = account
            .shared_dir(&search.temp_dir)?
            .join(format!("pgbouncer-{}", random_hex(8).map_err(step("naming PgBouncer's folder"))?));
        account.private_dir(&dir).map_err(step("making PgBouncer's folder"))?;
        let mut refusal = String::new();
        // The port can be taken by somebody else in between.
        for _ in 0..3 {
            let port = free_port().map_err(step("finding a free port"))?;
            for (name, text) in
                [("pgbouncer.ini", settings(&dir, port, logins, pool_size)), ("users", users(logins))]
            {
                let file = dir.join(name);
                fs::write(&file, text)
                    .and_then(|()| account.own(&file))
                    .map_err(step(format!("writing {name}")))?;
            }
            match Self::run(&program, account, &dir, port).await? {
                Ok(process) => return Ok(Self { dir, port, logins: logins.to_vec(), process }),
                Err(log) => refusal = log,
            }
        }
        // What failed is worth more than what is left behind.
        let _ = fs::remove_dir_all(&dir);
        Err(failed(&refusal))
    }

    async fn run(
        program: &Path,
        account: Account,
        dir: &Path,
        port: u16,
    ) -> Result<Result<Child, String>, NoPostgres> {
        let mut command = account.command("/bin/sh");
        command.args(["-c", SUPERVISE]).arg(program).arg(dir.join("pgbouncer.ini"));
        // A group of its own: an interrupt at the terminal must not reach it.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut process = command.spawn().map_err(step("starting PgBouncer"))?;
        let until = Instant::now() + START_TIMEOUT;
        while Instant::now() < until {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Ok(process));
            }
            sleep(Duration::from_millis(10)).await;
        }
        stop(&mut process);
        Ok(Err(last_lines(&fs::read_to_string(dir.join("log")).unwrap_or_default())))
    }

    /// Where it listens, on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The options of a login, by way of PgBouncer. Old ones know no prepared statements: the cache is off.
    #[must_use]
    pub fn options(&self, login: &str) -> Option<PgConnectOptions> {
        let direct = self.logins.iter().find(|options| options.get_username() == login)?;
        let options = direct.clone().host("127.0.0.1").port(self.port).ssl_mode(PgSslMode::Disable);
        Some(options.statement_cache_capacity(0))
    }

    /// The URL of a login, by way of PgBouncer.
    #[must_use]
    pub fn url(&self, login: &str) -> Option<String> {
        Some(self.options(login)?.to_url_lossy().to_string())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        stop(&mut self.process);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// PgBouncer's own folder is often not on the path of a user.
fn program(search: &Search) -> Option<PathBuf> {
    let usual = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin"];
    let usual = usual.into_iter().map(|dir| Path::new(dir).join("pgbouncer"));
    search.tool("pgbouncer").or_else(|| usual.into_iter().find(|program| program.is_file()))
}

fn settings(dir: &Path, port: u16, logins: &[PgConnectOptions], pool_size: u32) -> String {
    let server = logins.first().map_or_else(String::new, |server| {
        let host =
            server.get_socket().map_or_else(|| server.get_host().into(), |socket| socket.to_string_lossy());
        format!("* = host={host} port={}", server.get_port())
    });
    let dir = dir.display();
    // sqlx sets `extra_float_digits` when it connects, which PgBouncer does not track; 15 and later do without. Where
    // `options` are ignored too, time limits get lost on the way, and an app must notice.
    format!(
        "[databases]\n{server}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = plain\nauth_file = {dir}/users\nlogfile = {dir}/log\npool_mode = transaction\n\
         default_pool_size = {pool_size}\nmax_client_conn = 1000\n\
         ignore_startup_parameters = extra_float_digits, options\n"
    )
}

/// The passwords in clear: PgBouncer passes them on, however the server wants to see them.
fn users(logins: &[PgConnectOptions]) -> String {
    let quote = |text: &str| text.replace('"', "\"\"");
    let line = |login: &PgConnectOptions| {
        let url = login.to_url_lossy();
        let password = percent_decode_str(url.password().unwrap_or_default()).decode_utf8_lossy();
        format!("\"{}\" \"{}\"\n", quote(login.get_username()), quote(&password))
    };
    logins.iter().map(line).collect()
}

/// Ends PgBouncer at once; it holds nothing that is worth an orderly end.
fn stop(process: &mut Child) {
    drop(process.stdin.take());
    let _ = process.wait();
}

fn failed(detail: &str) -> NoPostgres {
    NoPostgres::Step { step: "starting PgBouncer".to_owned(), detail: detail.to_owned() }
}
