//! The program as it is, over a socket: sign-up, a workspace, the route inside it, and a stranger who finds nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The server, stopped with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Somebody with a session.
#[derive(Default)]
struct Client {
    address: String,
    cookie: String,
    token: String,
}

impl Client {
    /// Sends a request and gives back the status and the JSON of the answer.
    fn send(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let Self { address, cookie, token } = &*self;
        let length = body.len();
        write!(
            stream,
            "{method} /api/v1{path} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\nx-csrf-token: {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        loop {
            line.clear();
            answer.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if let Some(cookie) =
                line.to_lowercase().strip_prefix("set-cookie: ").map(|_| &line["set-cookie: ".len()..])
            {
                cookie.split(';').next().unwrap().clone_into(&mut self.cookie);
            }
        }
        let mut text = String::new();
        answer.read_to_string(&mut text).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(token) = answer["csrf_token"].as_str() {
            token.clone_into(&mut self.token);
        }
        (status, answer)
    }

    fn signed_up(address: &str, name: &str) -> Self {
        let mut client = Self { address: address.to_owned(), ..Self::default() };
        let account = json!({ "name": name, "email": format!("{name}@example.com"), "password": "correct horse battery" });
        let (status, answer) = client.send("POST", "/auth/sign-up", &account);
        assert_eq!(status, 201, "{answer}");
        client
    }
}

#[test]
fn the_snippet_serves_people_with_workspaces_of_their_own() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut server = Server(Command::new(crate::PROGRAM).arg(&address).spawn().unwrap());
    let started = Instant::now();
    while TcpStream::connect(&address).is_err() {
        assert!(server.0.try_wait().unwrap().is_none(), "the program has ended");
        assert!(started.elapsed() < Duration::from_mins(2), "the program does not serve");
        std::thread::sleep(Duration::from_millis(50));
    }

    // The database stays between runs, so the names must be new ones.
    let nonce = std::process::id();
    let slug = format!("acme-{nonce}");
    let mut ada = Client::signed_up(&address, &format!("ada-{nonce}"));
    let (status, answer) = ada.send("POST", "/workspaces", &json!({ "name": "Acme", "slug": slug }));
    assert_eq!(status, 201, "{answer}");
    let hello = format!("/w/{slug}/hello");
    assert_eq!(ada.send("GET", &hello, &Value::Null), (200, json!("Hello, Acme")));

    let mut eve = Client::signed_up(&address, &format!("eve-{nonce}"));
    assert_eq!(eve.send("GET", &hello, &Value::Null).0, 404);
    let mut stranger = Client { address, ..Client::default() };
    assert_eq!(stranger.send("GET", &hello, &Value::Null).0, 401);
}

#[test]
fn the_snippet_is_as_short_as_promised() {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    assert!(crate::SOURCE.lines().filter(is_code).count() <= 20);
}
