//! Pairing: complete on both sides or on neither, whatever is typed and whoever dies.

use std::time::Duration;
use tests::harness::pair_request;
use thrumd::keys::SecretKey;

use serde_json::json;
use tests::harness::{
    Answer, Client, Daemon, FakePeer, SHORT, Setup, converge, eventually, holds, pair,
    paired_daemons,
};
use thrum_api::local::{PeerJoin, PeerJoinParams, PeerList, PeerResolve, PeerResolveParams};
use thrum_api::peer::{PairRequest, PeerInfoParams, SyncPeerInfo};
use thrum_api::{Empty, ErrorCode};

pub(crate) fn wrong(code: &str) -> String {
    let right: u32 = code.parse().unwrap();
    format!("{:04}", (right + 1) % 10_000)
}

pub(crate) fn no_peers(daemon: &Daemon) -> Result<(), String> {
    let peers = daemon.ask::<PeerList>(Empty {}).peers;
    holds(peers.is_empty(), || format!("{} has peers: {peers:?}", daemon.name()))
}

#[test]
fn a_second_session_is_refused_while_one_is_open() {
    let laptop = Daemon::start("laptop");
    laptop.open_pairing();
    let error = laptop.call::<thrum_api::local::PeerAdd>(Empty {}).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::PAIRING_BUSY), "{error}");
}

#[test]
fn joining_without_a_session_says_so() {
    let laptop = Setup::new("laptop").env("THRUM_TS_ENABLED", true).start();
    let server = Daemon::start("server");
    eventually(SHORT, || {
        let error = server.join(&laptop, "1234").unwrap_err();
        holds(error.code() == Some(ErrorCode::NO_PAIRING_SESSION), || error.to_string())
    });
}

#[test]
fn joining_nobody_names_the_address() {
    let server = Daemon::start("server");
    let nobody = tests::harness::Port::take();
    let address = format!("127.0.0.1:{}", nobody.number());
    let ran = Client::new(&server).run_with(&["peer", "join", &address], "1234\n").exits(1);
    assert!(ran.stderr.contains(&address), "{}", ran.stderr);
    no_peers(&server).unwrap();
}

#[test]
fn joining_something_that_is_no_thrumd_says_so() {
    let server = Daemon::start("server");
    let html = b"<html><body>It works!</body></html>".to_vec();
    let site = FakePeer::new(move |_| Some(Answer::Raw(200, "text/html", html.clone())));
    let address = site.address().to_string();
    let ran = Client::new(&server).run_with(&["peer", "join", &address], "1234\n").exits(1);
    assert!(ran.stderr.contains("thrumd"), "{}", ran.stderr);
    assert!(
        site.heard().iter().all(|heard| heard.method != "pair.request"),
        "the code was sent to something that is no thrumd"
    );
}

#[test]
fn joining_itself_is_refused() {
    let laptop = Daemon::start("laptop");
    let code = laptop.open_pairing().code;
    let error = laptop.join(&laptop, code.expose()).unwrap_err();
    assert!(error.to_string().to_lowercase().contains("itself"), "{error}");
    no_peers(&laptop).unwrap();
}

#[test]
fn joining_itself_is_refused_before_anything_listens() {
    let laptop = Daemon::start("laptop");
    assert_eq!(laptop.status().tailnet.listening, Vec::<String>::new());
    for host in ["localhost", "127.0.0.1"] {
        let address = format!("{host}:{}", laptop.peer_address().port());
        let ran = laptop.thrum(&["peer", "join", &address]).exits(1);
        assert!(ran.stderr.contains("this machine itself"), "{}", ran.stderr);
    }
    assert_eq!(laptop.status().tailnet.listening, Vec::<String>::new());
}

#[test]
fn another_daemon_on_the_port_that_would_be_ours_is_not_taken_for_us() {
    let other = FakePeer::new(|_| Some(Answer::Error(ErrorCode::NOT_AUTHENTICATED.0)));
    let laptop = Setup::new("laptop").env("THRUM_TS_PORT", other.address().port()).start();
    let params = PeerResolveParams { address: other.address().to_string() };
    assert_eq!(laptop.ask::<PeerResolve>(params).address, other.address().to_string());
}

#[test]
fn a_refusal_that_is_not_about_the_code_is_told_as_one() {
    let fake = FakePeer::new(|heard| {
        let code = match &*heard.method {
            "pair.request" => ErrorCode::INVALID_PARAMS,
            _ => ErrorCode::NOT_AUTHENTICATED,
        };
        Some(Answer::Error(code.0))
    });
    let (server, address) = (Daemon::start("server"), fake.address().to_string());
    let ran = Client::new(&server).run_with(&["peer", "join", &address], "1234\n").exits(1);
    let told = format!("Error: {address} refused: as the test says\n");
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    assert!(!ran.stderr.contains("can't reach"), "{}", ran.stderr);
}

#[test]
fn joining_a_machine_that_is_not_there_says_so_once() {
    let server = Daemon::start("server");
    let ran = server.thrum(&["peer", "join", "192.0.2.1"]).exits(1);
    assert_eq!(ran.stderr.matches("192.0.2.1").count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("tailscale status"), "{}", ran.stderr);
    assert!(ran.stderr.contains("Hint: use 127.0.0.1"), "{}", ran.stderr);
}

#[test]
fn pairing_again_replaces_the_token_and_keeps_the_checkpoint() {
    let (laptop, server) = paired_daemons();
    laptop.append(0..200);
    converge(SHORT, &[&laptop, &server]);
    let token = server.tokens();
    let received = server.status().sync.events_received;

    let session = laptop.open_pairing();
    let joined = server.join(&laptop, session.code.expose()).unwrap();
    assert!(joined.renewed, "{joined:?}");
    assert_ne!(token, server.tokens(), "the token was not replaced");
    laptop.append(["after"]);
    converge(SHORT, &[&laptop, &server]);
    let more = server.status().sync.events_received - received;
    assert!(more <= 2, "{more} events came again");
}

#[test]
fn a_caller_that_never_comes_back_is_no_peer() {
    let mut laptop = Daemon::start("laptop");
    let code = laptop.open_pairing().code;
    let key = SecretKey::generate().unwrap();
    let params = pair_request(&laptop, &key, Some(code), "ghost", "127.0.0.1:1");
    let paired = laptop.stranger().call::<PairRequest>(&params).unwrap();
    no_peers(&laptop).unwrap();
    laptop.kill();
    laptop.start_again();
    no_peers(&laptop).unwrap();
    eventually(SHORT, || {
        let caller = laptop.stranger().with_token(paired.token.clone());
        let error = caller.call::<SyncPeerInfo>(&PeerInfoParams::default()).unwrap_err();
        holds(error.code() == Some(ErrorCode::NOT_AUTHENTICATED), || error.to_string())
    });
}

#[test]
fn a_host_that_takes_the_code_and_refuses_its_own_token_is_no_peer() {
    let server = Daemon::start("server");
    let fake = FakePeer::new(|heard| match heard.method.as_str() {
        "pair.request" => Some(Answer::Result(json!({
            "status": "paired", "token": "ab".repeat(32),
            "id": "d_01ARZ3NDEKTSV4RRFFQ69G5FAV00000000000000000000000000", "name": "liar",
        }))),
        _ => Some(Answer::Error(ErrorCode::NOT_AUTHENTICATED.0)),
    });
    let params = PeerJoinParams { address: fake.address().to_string(), code: "1234".parse().ok() };
    server.call::<PeerJoin>(params).unwrap_err();
    eventually(SHORT, || no_peers(&server));
}

#[test]
fn killing_the_joining_daemon_leaves_a_pairing_whole_or_absent() {
    for round in 0..4 {
        let laptop = Daemon::start("laptop");
        let mut server = Daemon::start("server");
        let code = laptop.open_pairing().code;
        std::thread::scope(|scope| {
            let joining = scope.spawn(|| server.join(&laptop, code.expose()));
            // A random moment: before, within or after the exchange.
            std::thread::sleep(Duration::from_millis(4 * round));
            tests::harness::process::signal(server.pid(), rustix::process::Signal::KILL);
            let _either = joining.join().unwrap();
        });
        server.ended();
        server.start_again();
        // Whole: both have the other and exchange. Absent: neither has.
        eventually(SHORT, || {
            let here = laptop.has_peer(&server).is_ok();
            let there = server.has_peer(&laptop).is_ok();
            holds(here == there, || format!("laptop: {here}, server: {there}"))
        });
        if laptop.has_peer(&server).is_ok() {
            laptop.append(["whole"]);
            converge(SHORT, &[&laptop, &server]);
        }
    }
}

#[test]
fn forbidden_sync_makes_both_commands_say_so() {
    let daemon = Setup::new("laptop").env("THRUM_TS_ENABLED", false).start();
    for words in [&["peer", "add"][..], &["peer", "join", "127.0.0.1:9"]] {
        let ran = Client::new(&daemon).run_with(words, "1234\n").exits(1);
        assert!(ran.stderr.contains("THRUM_TS_ENABLED"), "{}", ran.stderr);
    }
}

#[test]
fn nothing_listens_before_a_person_asks_for_it_and_it_listens_again_after_a_restart() {
    let mut laptop = Daemon::start("laptop");
    let server = Daemon::start("server");
    assert_eq!(laptop.status().tailnet.listening, Vec::<String>::new());
    laptop.stranger().connect().expect_err("nobody asked for a listener");
    pair(&laptop, &server);
    laptop.stop();
    laptop.start_again();
    eventually(SHORT, || laptop.stranger().connect().map_err(|error| error.to_string()));
}
