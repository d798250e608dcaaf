//! A token or a whole code appears nowhere but on the wire, in `peers.json` and on the terminal of
//! the person who asked for it; the seed of a key nowhere but in `key.json`.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tests::harness::{
    Client, Daemon, SHORT, Setup, Terminal, converge, eventually, has_word, holds, pair, process,
};

use crate::pairing::wrong;
use crate::pairing_codes::guess;

const NUMBER: u64 = 739_184_625_011;

fn loud(name: &str) -> Daemon {
    Setup::new(name).env("THRUM_LOG", "trace").start()
}

#[test]
fn no_key_no_token_and_no_whole_code_is_shown_anywhere() {
    let (laptop, server) = (loud("laptop"), loud("server"));
    let mut codes = Vec::new();

    // Two sessions are given up, the third one pairs; all through the real client. A process id or a time may look like
    // a code, so the test minds only if all three are there.
    for _ in 0..2 {
        let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
        codes.push(accepting.shows_code());
        accepting.interrupts();
        accepting.ends();
        eventually(SHORT, || laptop.has_no_session());
    }
    let address = laptop.peer_address().to_string();
    let client = Client::new(&server);
    client.run_with(&["peer", "join", &address], &format!("{}\n", codes[0])).exits(1);

    let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
    codes.push(accepting.shows_code());
    let public = process::everything_public();
    // From elsewhere: the same caller would have to wait now.
    guess(&laptop, 2, &wrong(&codes[2])).unwrap_err();
    let joined = client.run_with(&["peer", "join", &address], &format!("{}\n", codes[2])).exits(0);
    accepting.ends();
    laptop.append(["news"]);
    converge(SHORT, &[&laptop, &server]);
    // Who writes a client of their own may send a code or a token as a number.
    for (method, member) in [("pair.request", "code"), ("sync.pull", "token")] {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": method,
            "params": { member: NUMBER, "after_seq": 0 },
        });
        let answer = laptop.stranger().post(body.to_string().as_bytes()).unwrap();
        assert!(answer.json()["error"].is_object(), "{}", answer.text());
    }
    eventually(SHORT, || holds(server.tokens().len() == 1, || "no token in peers.json".to_owned()));

    let mut shown = vec![
        ("the log of the accepting daemon", laptop.log_text()),
        ("the log of the joining daemon", server.log_text()),
        ("the process list", public),
        ("the process list", process::everything_public()),
        ("the joining client", format!("{}{}", joined.stdout, joined.stderr)),
    ];
    for words in [
        &["status", "--json"][..],
        &["status"],
        &["peer", "list", "--json"],
        &["peer", "status", "--json"],
        &["events", "--json"],
        &["daemon", "logs"],
        &["peer", "remove", "nobody"],
    ] {
        let ran = laptop.thrum(words);
        shown.push(("a command", format!("{}{}", ran.stdout, ran.stderr)));
    }
    let config =
        laptop.command().arg("--print-config").stdout(std::process::Stdio::piped()).output();
    shown
        .push(("the configuration", String::from_utf8_lossy(&config.unwrap().stdout).into_owned()));

    let tokens = [laptop.tokens(), server.tokens()].concat();
    let seeds = [&laptop, &server].map(|daemon| {
        let file = std::fs::read(daemon.state().join("key.json")).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
        file["seed"].as_str().unwrap().to_owned()
    });
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0], tokens[1]);
    for (what, text) in &shown {
        assert!(!text.contains(&NUMBER.to_string()), "a number for a code is in {what}:\n{text}");
        assert!(!text.contains(&tokens[0]), "the token is in {what}:\n{text}");
        for seed in &seeds {
            assert!(!text.contains(&seed[..8]), "a key is in {what}:\n{text}");
        }
        assert!(!text.contains(&tokens[0][..16]), "part of the token is in {what}:\n{text}");
        assert!(!codes.iter().all(|code| has_word(text, code)), "codes are in {what}:\n{text}");
    }
    let masked = format!("[pairing] Session started, code={}***, timeout=5m0s", &codes[2][..1]);
    assert!(shown[0].1.contains(&masked), "no {masked:?} in\n{}", shown[0].1);
}

#[test]
fn files_with_secrets_are_for_their_owner_alone() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    pair(&laptop, &server);
    for daemon in [&laptop, &server] {
        let files = [("key.json", 0o600), ("peers.json", 0o600), ("thrumd.sock", 0o600)];
        for (file, mode) in files.into_iter().chain([("", 0o700)]) {
            let path = daemon.state().join(file);
            let found = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{} has mode {found:o}", path.display());
        }
    }
}

#[test]
fn an_auth_key_that_everyone_can_read_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thrumd.toml");
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    std::fs::write(&file, "auth_key = \"tskey-auth-secret\"\n").unwrap();
    mode(0o640);
    let mut daemon = Setup::new("laptop").env("THRUM_CONFIG", file.display()).start();
    let told = "everyone on this machine can read the auth key in";
    assert!(!daemon.log_text().contains(told), "{}", daemon.log_text());
    mode(0o644);
    daemon.stop();
    daemon.start_again();
    let next = format!("{told} {path}; run `chmod 600 {path}`", path = file.display());
    let log = daemon.log_text();
    assert!(log.contains(&next) && !log.contains("tskey"), "{log}");
}

#[test]
fn a_code_has_four_digits_and_another_one_each_time() {
    let daemon = Daemon::start("laptop");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let session = daemon.open_pairing();
        let code = session.code.expose().to_owned();
        assert!(code.len() == 4 && code.bytes().all(|c| c.is_ascii_digit()), "not 4 digits");
        seen.insert(code);
        let params = thrum_api::local::PeerCancelParams { session: session.session };
        daemon.ask::<thrum_api::local::PeerCancel>(params);
    }
    assert!(seen.len() >= 6, "codes repeat");
}
