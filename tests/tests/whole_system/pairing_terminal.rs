//! Pairing as two persons see it, each in front of a terminal.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tests::harness::{Client, Daemon, SHORT, Setup, Terminal, eventually, http, paired_daemons};
use thrum_api::{DaemonId, ErrorCode};

use crate::pairing::wrong;

#[test]
fn both_terminals_say_the_words_of_the_contract() {
    let (laptop, server) = (Daemon::start("my-laptop"), Daemon::start("office-server"));
    let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
    let code = accepting.shows_code();
    let mut joining = Terminal::of(&server, &["peer", "join", &laptop.peer_address().to_string()]);
    joining.shows("Enter pairing code: ");
    joining.types(&code);
    joining.shows(r#"Paired with "my-laptop"\. Syncing started\."#);
    accepting.shows(&format!(
        r#"Paired with "office-server" \({}\)\. Syncing started\."#,
        server.peer_address()
    ));
    assert_eq!(joining.ends().0, 0);
    assert_eq!(accepting.ends().0, 0);
}

#[test]
fn ctrl_c_at_the_accepting_terminal_ends_the_session_at_once() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
    let code = accepting.shows_code();
    accepting.interrupts();
    assert_eq!(accepting.ends().0, 130);
    eventually(SHORT, || laptop.has_no_session());
    let error = server.join(&laptop, &code).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NO_PAIRING_SESSION), "{error}");
}

#[test]
fn ctrl_c_at_the_joining_terminal_leaves_the_session_open() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
    let code = accepting.shows_code();
    let mut joining = Terminal::of(&server, &["peer", "join", &laptop.peer_address().to_string()]);
    joining.shows("Enter pairing code: ");
    joining.interrupts();
    assert_eq!(joining.ends().0, 130);
    server.join(&laptop, &code).unwrap();
    assert_eq!(accepting.ends().0, 0);
}

#[test]
fn when_its_time_is_over_both_terminals_say_so() {
    let laptop = Setup::new("laptop").env("THRUM_PAIRING_TIMEOUT", "1s").start();
    let server = Daemon::start("server");
    let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
    let code = accepting.shows_code();
    let mut joining = Terminal::of(&server, &["peer", "join", &laptop.peer_address().to_string()]);
    joining.shows("Enter pairing code: ");
    let (exit, seen) = accepting.ends();
    assert_eq!(exit, 1, "{seen}");
    assert!(seen.contains("has expired") && seen.contains("thrum peer add"), "{seen}");
    joining.types(&code);
    let (exit, seen) = joining.ends();
    assert_eq!(exit, 1, "{seen}");
    assert!(seen.contains("is too old") && seen.contains("thrum peer add"), "{seen}");
    let error = server.join(&laptop, &code).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::PAIRING_EXPIRED), "{error}");
    assert!(laptop.status().peers.is_empty() && server.status().peers.is_empty());
}

#[test]
fn a_killed_accepting_client_ends_the_session() {
    let laptop = Daemon::start("laptop");
    let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
    accepting.shows_code();
    drop(accepting);
    eventually(SHORT, || laptop.has_no_session());
}

#[test]
fn both_terminals_hear_of_two_wrong_codes_and_the_third_one_gets_in() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
    let code = accepting.shows_code();
    let mut joining = Terminal::of(&server, &["peer", "join", &laptop.peer_address().to_string()]);
    joining.shows("Enter pairing code: ");
    joining.types(&wrong(&code));
    accepting.shows(r"Wrong code from 127\.0\.0\.1; it has 2 tries left\.");
    joining.shows("2 tries left");
    joining.shows("Enter pairing code: ");
    joining.types(&wrong(&code));
    accepting.shows(r"Wrong code from 127\.0\.0\.1; it has 1 try left\.");
    joining.shows("1 try left, in 10s");
    // It asks when the time is over.
    joining.shows("Enter pairing code: ");
    joining.types(&code);
    joining.shows(r#"Paired with "laptop"\. Syncing started\."#);
    assert_eq!(joining.ends().0, 0);
    assert_eq!(accepting.ends().0, 0);
}

#[test]
fn a_wrong_code_at_the_joining_terminal_says_how_many_tries_are_left() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
    let code = wrong(&accepting.shows_code());
    let ran = Client::new(&server)
        .run_with(&["peer", "join", &laptop.peer_address().to_string()], &format!("{code}\n"))
        .exits(1);
    assert!(ran.stderr.to_lowercase().contains("wrong code"), "{}", ran.stderr);
    assert!(ran.stderr.contains('2'), "{}", ran.stderr);
}

#[test]
fn the_code_is_read_from_stdin_without_a_terminal_and_never_from_the_command_line() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
    let code = accepting.shows_code();
    let address = laptop.peer_address().to_string();
    let client = Client::new(&server);
    client.run_with(&["peer", "join", &address, &code], "").exits(2);
    client.run_with(&["peer", "join", &address], "").exits(2);
    // People type spaces and dashes.
    let typed = format!("{} - {}\n", &code[..2], &code[2..]);
    let ran = client.run_with(&["peer", "join", &address], &typed).exits(0);
    assert!(ran.stdout.contains(r#"Paired with "laptop". Syncing started."#), "{}", ran.stdout);
    assert_eq!(accepting.ends().0, 0);
}

/// A socket in front of a daemon's. In the first session that is opened there, a machine gives the right code with the id
/// of a peer: on a tailnet it would be one on another node.
fn with_claim(daemon: &Daemon, id: DaemonId) -> PathBuf {
    let session = json!({"session": 1000, "code": "0000", "timeout_ms": 300_000, "join": "laptop"});
    let claim = json!({
        "news": "id_taken", "caller": "gamma.tail.test (al@example.com)", "daemon_id": id, "name": "server",
    });
    let answers =
        Arc::new(Mutex::new(BTreeMap::from([("peer.add", session), ("peer.wait", claim)])));
    let path = daemon.folder().join("claim.sock");
    let _none_before = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let behind = daemon.socket();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (answers, server) = (Arc::clone(&answers), UnixStream::connect(&behind));
            std::thread::spawn(move || {
                // Until the client hangs up.
                let _ended = server.and_then(|server| answer(client, server, &answers));
            });
        }
    });
    path
}

/// Answers requests itself where it has an answer, and has the server do it else.
fn answer(
    mut client: UnixStream,
    mut server: UnixStream,
    answers: &Mutex<BTreeMap<&str, Value>>,
) -> io::Result<()> {
    loop {
        let mut head = String::new();
        let mut bytes = 0;
        loop {
            let line = http::read_line(&mut client)?;
            head.push_str(&format!("{line}\r\n"));
            if let Some(count) = line.to_lowercase().strip_prefix("content-length:") {
                bytes = count.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; bytes];
        client.read_exact(&mut body)?;
        let call: Value = serde_json::from_slice(&body).unwrap_or_default();
        let own = call["method"].as_str().and_then(|method| answers.lock().unwrap().remove(method));
        let answer = match own {
            Some(result) => {
                json!({"jsonrpc": "2.0", "id": call["id"], "result": result}).to_string()
            }
            None => {
                server.write_all(head.as_bytes())?;
                server.write_all(&body)?;
                http::read_response(&mut server)?.text()
            }
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
        write!(client, "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())?;
    }
}

#[test]
fn a_machine_with_the_id_of_a_peer_gets_its_place_only_if_the_person_says_that_it_is_the_same() {
    let (laptop, server) = paired_daemons();
    let accept = || {
        let at = with_claim(&laptop, server.id());
        let client = Client::of_socket(at, laptop.folder().to_owned()).env("NO_COLOR", 1);
        let mut accepting = Terminal::open(client.command(&["peer", "add"]));
        accepting.shows(r"gamma\.tail\.test .* gave the right code with the daemon id of server");
        accepting.shows(r"\[y/N\] ");
        accepting
    };
    let mut accepting = accept();
    accepting.types("n");
    let (exit, seen) = accepting.ends();
    assert!(exit == 1 && seen.contains("not confirmed; nothing was changed"), "{seen}");
    assert_eq!(laptop.status().peers.len(), 1);
    let mut accepting = accept();
    accepting.interrupts();
    assert_eq!(accepting.ends().0, 130);
    assert_eq!(laptop.status().peers.len(), 1);
    let mut accepting = accept();
    accepting.types("y");
    accepting.shows(r#"Removed "server"\."#);
    let code = accepting.shows_code();
    assert_eq!(laptop.status().peers.len(), 0);
    server.join(&laptop, &code).unwrap();
    assert_eq!(accepting.ends().0, 0);
    assert_eq!(laptop.status().peers.len(), 1);
    // In a script nobody is asked.
    let at = with_claim(&laptop, server.id());
    let client = Client::of_socket(at, laptop.folder().to_owned());
    let refused = client.run(&["peer", "add"]).exits(1);
    assert!(refused.stderr.contains("thrum peer remove d_"), "{}", refused.stderr);
    assert_eq!(laptop.status().peers.len(), 1);
}
