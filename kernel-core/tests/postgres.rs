//! The finder, with real servers.
#![cfg(all(unix, feature = "testkit"))]
#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kernel_core::testkit::left_out;
use kernel_core::testkit::postgres::{NoPostgres, Postgres, Search};
use sqlx::{ConnectOptions, Connection, PgConnection};

/// A search with a target folder of its own, which goes when the test is over.
struct Own(Search);

impl Deref for Own {
    type Target = Search;

    fn deref(&self) -> &Search {
        &self.0
    }
}

impl DerefMut for Own {
    fn deref_mut(&mut self) -> &mut Search {
        &mut self.0
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0.target_dir);
    }
}

/// A search for a cluster of this test's own, without the caller's settings.
fn search(test: &str) -> Own {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("finder").join(test);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let mut search = Search::from_env(&dir);
    (search.url, search.major, search.bin_dir, search.memory_dir) = (None, None, None, None);
    test.clone_into(&mut search.cluster);
    Own(search)
}

async fn find(search: &Search) -> Postgres {
    Postgres::find(search, &mut |line| eprintln!("{line}")).await.unwrap()
}

async fn ask(postgres: &Postgres, question: &'static str) -> String {
    let mut conn = PgConnection::connect(&postgres.url("postgres")).await.unwrap();
    sqlx::query_scalar(question).fetch_one(&mut conn).await.unwrap()
}

fn data(postgres: &Postgres) -> PathBuf {
    postgres.folder().unwrap().join("data")
}

fn pid(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.parse().ok()
}

fn signal(signal: &str, pid: u32) -> bool {
    Command::new("kill").args([signal, &pid.to_string()]).output().unwrap().status.success()
}

/// Whether the process runs; one that has ended may still be listed until its parent has taken note.
fn is_alive(pid: u32) -> bool {
    let has_ended = fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    signal("-0", pid) && !has_ended
}

/// Gives a process that has closed everything the moment it needs to end.
async fn assert_ends(pid: u32) {
    for _ in 0..100 {
        if !is_alive(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the server {pid} still runs");
}

#[tokio::test]
async fn a_private_cluster_is_started_and_stopped() {
    let search = search("start");
    let postgres = find(&search).await;
    assert_eq!(
        ask(&postgres, "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user").await,
        "true"
    );
    assert_eq!(ask(&postgres, "SHOW server_version_num").await, postgres.version().to_string());
    assert!(
        postgres.url("a").starts_with("postgres://postgres:")
            && postgres.url("a").ends_with("/a?sslmode=disable")
    );
    assert_eq!(ask(&postgres, "SHOW max_connections").await, "300");
    assert_eq!(ask(&postgres, "SHOW fsync").await, "off");
    assert_eq!(ask(&postgres, "SHOW server_encoding").await, "UTF8");
    assert_eq!(ask(&postgres, "SELECT lower('É')").await, "é");

    let server = pid(&data(&postgres)).unwrap();
    assert!(is_alive(server));
    drop(postgres);
    assert_ends(server).await;
}

#[tokio::test]
async fn another_user_of_the_machine_gets_in_neither_by_password_nor_by_files() {
    let search = search("closed");
    let postgres = find(&search).await;
    for password in ["", "postgres"] {
        let refused = postgres.options().clone().password(password).connect().await.unwrap_err();
        assert!(refused.to_string().contains("password"), "{refused}");
    }
    assert_eq!(fs::metadata(postgres.folder().unwrap()).unwrap().permissions().mode() & 0o77, 0);
    assert_eq!(ask(&postgres, "SHOW unix_socket_directories").await, "");
    assert_eq!(ask(&postgres, "SHOW listen_addresses").await, "127.0.0.1");
}

#[tokio::test]
async fn the_second_start_makes_nothing_anew_and_keeps_what_was_there() {
    let search = search("second");
    let first = find(&search).await;
    let mut conn = PgConnection::connect(&first.url("postgres")).await.unwrap();
    let kept = "CREATE TABLE kept (note text); INSERT INTO kept VALUES ('here')";
    sqlx::raw_sql(kept).execute(&mut conn).await.unwrap();
    drop((conn, first));

    let mut said = Vec::new();
    let second = Postgres::find(&search, &mut |line| said.push(line.to_owned())).await.unwrap();
    assert_eq!(ask(&second, "SELECT note FROM kept").await, "here");
    assert!(said.is_empty(), "{said:?}");
}

#[tokio::test]
async fn those_who_start_the_same_cluster_at_once_share_it_and_the_last_one_stops_it() {
    let search = search("parallel");
    let (a, b, c) = tokio::join!(find(&search), find(&search), find(&search));
    assert_eq!(a.url("x"), b.url("x"));
    assert_eq!(b.url("x"), c.url("x"));
    let server = pid(&data(&a)).unwrap();
    drop(a);
    drop(b);
    assert_eq!(ask(&c, "SELECT 'alive'").await, "alive");
    let d = find(&search).await;
    drop(c);
    assert_eq!(ask(&d, "SELECT 'alive'").await, "alive");
    assert_eq!(pid(&data(&d)), Some(server));
    drop(d);
    assert_ends(server).await;
}

#[tokio::test]
async fn a_durable_cluster_lies_apart_and_syncs() {
    let mut search = search("durable");
    let quick = find(&search).await;
    search.durable = true;
    let durable = find(&search).await;
    assert_ne!(data(&quick), data(&durable));
    assert_eq!(ask(&durable, "SHOW fsync").await, "on");
    assert_eq!(ask(&durable, "SHOW full_page_writes").await, "on");
    assert_eq!(ask(&durable, "SHOW synchronous_commit").await, "on");
}

#[tokio::test]
async fn a_lock_file_left_behind_does_not_prevent_a_start_and_its_process_is_left_alone() {
    let search = search("stale");
    let data = data(&find(&search).await);
    // A process id that was given out again, to somebody who is no PostgreSQL.
    let mut bystander = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(data.join("postmaster.pid"), format!("{}\n{}\n", bystander.id(), data.display())).unwrap();

    let postgres = find(&search).await;
    assert_eq!(ask(&postgres, "SELECT 'alive'").await, "alive");
    assert!(bystander.try_wait().unwrap().is_none(), "the bystander was stopped");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn a_half_made_cluster_is_made_anew() {
    let search = search("half");
    let data = data(&find(&search).await);
    // Killed while initdb ran, in an earlier place of its work and in a later one.
    fs::rename(&data, data.with_extension("part")).unwrap();
    drop(find(&search).await);
    fs::remove_file(data.join("PG_VERSION")).unwrap();
    drop(find(&search).await);
    // Damaged in a way that only the server notices.
    fs::remove_file(data.join("global/pg_control")).unwrap();
    let postgres = find(&search).await;
    assert_eq!(ask(&postgres, "SELECT 'alive'").await, "alive");
    assert!(data.with_extension("broken").exists(), "the damaged cluster is kept");
}

#[tokio::test]
async fn a_cluster_in_memory_goes_with_its_last_user() {
    let mut search = search("memory");
    // Any folder will do: what is looked at is how much room there is.
    let memory = std::env::temp_dir().join(format!("kernel-memory-{}", std::process::id()));
    fs::create_dir_all(&memory).unwrap();
    search.memory_dir = Some(memory.clone());
    let (first, second) = (find(&search).await, find(&search).await);
    let dir = first.folder().unwrap().to_owned();
    if !dir.starts_with(&memory) {
        left_out("postgres", "a cluster in memory: there is no room for one");
        return;
    }
    assert_eq!(second.folder(), Some(dir.as_path()));
    drop(first);
    assert_eq!(ask(&second, "SELECT 'alive'").await, "alive");
    // Its user did not start the server, and sees it cleared away all the same.
    drop(second);
    assert!(!dir.join("data").exists(), "the last user's data lies in memory still");
    let third = find(&search).await;
    assert_eq!(ask(&third, "SELECT 'alive'").await, "alive");
    drop(third);
    assert!(!dir.join("data").exists(), "the next user's data lies in memory still");

    search.durable = true;
    let durable = find(&search).await;
    assert!(!durable.folder().unwrap().starts_with(&memory));
    drop(durable);
    fs::remove_dir_all(memory).unwrap();
}

#[tokio::test]
async fn a_server_whose_supervisor_was_killed_is_replaced() {
    let search = search("orphan");
    let first = find(&search).await;
    let dir = first.folder().unwrap().to_owned();
    let orphan = pid(&dir.join("data")).unwrap();
    let supervisor = fs::read_to_string(dir.join("supervisor.pid")).unwrap().trim().parse().unwrap();
    assert!(signal("-9", supervisor));
    assert!(is_alive(orphan));

    let second = find(&search).await;
    assert_eq!(ask(&second, "SELECT 'alive'").await, "alive");
    assert_ends(orphan).await;
    drop(first);
    assert_eq!(ask(&second, "SELECT 'alive'").await, "alive");
}

#[tokio::test]
async fn a_target_folder_that_the_server_cannot_enter_is_avoided() {
    let mut search = search("shut");
    if fs::metadata(&search.target_dir).unwrap().uid() != 0 {
        // The server runs under the caller's own account then, which can enter its own folders.
        return;
    }
    fs::set_permissions(&search.target_dir, fs::Permissions::from_mode(0o700)).unwrap();
    search.temp_dir = std::env::temp_dir();
    let postgres = find(&search).await;
    let folder = postgres.folder().unwrap().to_owned();
    assert!(folder.starts_with(&search.temp_dir), "{}", folder.display());
    assert_eq!(ask(&postgres, "SELECT 'alive'").await, "alive");
    drop(postgres);
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_named_server_is_taken_and_its_version_checked() {
    let own = search("named");
    let private = find(&own).await;
    let mut by_url = search("by-url");
    by_url.url = Some(private.url("postgres"));
    let named = find(&by_url).await;
    assert_eq!(named.folder(), None);
    assert_eq!(ask(&named, "SELECT 'alive'").await, "alive");
    assert!(named.url("other").contains("/other"), "{}", named.url("other"));

    by_url.major = Some(14);
    let refused = Postgres::find(&by_url, &mut |_| ()).await.unwrap_err();
    assert!(matches!(refused, NoPostgres::OtherVersion { wanted: 14, .. }), "{refused}");

    drop(private);
    by_url.major = None;
    let gone = Postgres::find(&by_url, &mut |_| ()).await.unwrap_err();
    assert!(gone.to_string().starts_with("no connection to PostgreSQL at 127.0.0.1:"), "{gone}");
    assert!(!gone.to_string().contains("postgres:"), "the password is told: {gone}");
}

#[tokio::test]
async fn where_there_is_nothing_one_sentence_says_what_to_do() {
    let mut search = search("nothing");
    search.path = Vec::new();
    search.usual_places = Vec::new();
    // An empty cache: programs that were fetched before would be found there.
    search.cache_dir = search.target_dir.join("cache");
    for install in [false, true] {
        search.install = install;
        let nothing = Postgres::find(&search, &mut |_| ()).await.unwrap_err();
        assert!(matches!(nothing, NoPostgres::Nothing { .. }), "{nothing}");
        let sentence = nothing.to_string();
        assert!(sentence.contains("apt-get install postgresql"), "{sentence}");
        assert!(sentence.contains("KERNEL_PG_URL"), "{sentence}");
    }
}

#[tokio::test]
async fn without_a_local_installation_the_programs_come_from_a_registry() {
    let mut search = search("registry");
    search.usual_places = Vec::new();
    search.path.retain(|dir| !dir.join("postgres").exists());
    search.cache_dir = search.target_dir.join("cache");
    search.major = Some(18);
    let mut said = Vec::new();
    let postgres = match Postgres::find(&search, &mut |line| said.push(line.to_owned())).await {
        Ok(postgres) => postgres,
        Err(error) => return left_out("PostgreSQL from a registry", &error.to_string()),
    };
    assert!(said.iter().any(|line| line.contains("fetching")), "{said:?}");
    assert_eq!(postgres.major(), 18);
    assert_eq!(ask(&postgres, "SELECT uuidv7()::text").await.len(), 36);
    drop(postgres);

    // Once unpacked, it needs no registry.
    search.path = Vec::new();
    said.clear();
    assert_eq!(Postgres::find(&search, &mut |line| said.push(line.to_owned())).await.unwrap().major(), 18);
    assert!(said.is_empty(), "{said:?}");
}
