//! Pairing as two persons see it, each in front of a terminal.

use tests::harness::{Client, Daemon, SHORT, Setup, Terminal, eventually};
use thrum_api::ErrorCode;

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
