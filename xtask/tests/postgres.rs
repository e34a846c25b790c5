//! `cargo xtask postgres`, and what is left of its server when it ends in one way or another.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `xtask postgres` with a cluster of this test's own, whatever server the caller's environment names.
fn xtask(test: &str) -> (Command, PathBuf) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("xtask").join(test);
    let _ = fs::remove_dir_all(&target);
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["postgres", "--cluster", test, "--target-dir"]).arg(&target);
    command.env_remove("KERNEL_PG_URL").env_remove("DATABASE_URL");
    (command, target)
}

/// Starts it and returns the port that its URL names.
fn start(command: &mut Command) -> (Child, u16) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let port = url.trim().rsplit_once("127.0.0.1:").expect(&url).1;
    let port = port[..port.find('/').unwrap()].parse().unwrap();
    (child, port)
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// How long the server outlived the process that was sent `signal`.
fn outlived(signal: &str) -> Duration {
    let (mut command, target) = xtask(signal);
    let (mut child, port) = start(&mut command);
    assert!(listens(port));
    assert!(
        Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    child.wait().unwrap();
    let killed = Instant::now();
    while listens(port) && killed.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = killed.elapsed();
    let cluster = fs::read_dir(target.join("postgres")).ok().and_then(|mut found| found.next());
    if let Some(cluster) = cluster {
        let log = fs::read_to_string(cluster.unwrap().path().join("server.log")).unwrap();
        assert!(log.contains("fast shutdown request"), "it must end in good order: {log}");
    }
    let _ = fs::remove_dir_all(target);
    took
}

#[test]
fn a_server_does_not_outlive_a_killed_parent_by_more_than_seconds() {
    // Two seconds of grace and the shutdown; the rest is for a busy machine.
    assert!(outlived("KILL") < Duration::from_secs(20));
}

#[test]
fn nor_one_that_was_interrupted_or_terminated() {
    assert!(outlived("INT") < Duration::from_secs(20));
    assert!(outlived("TERM") < Duration::from_secs(20));
}

#[test]
fn a_killed_parent_does_not_take_the_server_from_those_who_share_it() {
    let (mut command, target) = xtask("shared");
    let (mut first, port) = start(&mut command);
    let (mut second, same_port) = start(&mut command);
    assert_eq!(port, same_port);
    first.kill().unwrap();
    first.wait().unwrap();
    // Longer than the grace.
    std::thread::sleep(Duration::from_secs(4));
    assert!(listens(port));
    second.kill().unwrap();
    second.wait().unwrap();
    while listens(port) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = fs::remove_dir_all(target);
}

#[test]
fn a_command_is_run_with_the_url_and_its_verdict_passed_on() {
    let (mut command, target) = xtask("command");
    let out = command.args(["--", "sh", "-c", "echo $KERNEL_PG_URL; exit 3"]).output().unwrap();
    assert!(String::from_utf8(out.stdout).unwrap().starts_with("postgres://postgres:"));
    assert_eq!(out.status.code(), Some(3));
    let _ = fs::remove_dir_all(target);
}
