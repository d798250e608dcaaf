//! `thrum doctor` leads from what a person notices to the broken link.

use serde_json::Value;
use tests::harness::{
    Client, Daemon, LONG, Ran, SHORT, Setup, converge, eventually, has_word, holds, paired_daemons,
    process,
};
use thrum_api::Empty;
use thrum_api::local::{
    PeerCancel, PeerCancelParams, PeerList, PeerRemove, PeerRemoveParams, PeerWait, PeerWaitParams,
};

use crate::pairing::wrong;
use crate::pairing_codes::guess;

fn doctor(daemon: &Daemon) -> Ran {
    Client::new(daemon).run(&["doctor", "--json"])
}

/// Every check of this id.
#[track_caller]
fn checks(ran: &Ran, id: &str) -> Vec<Value> {
    let json = ran.json();
    assert_eq!(json["schema"], 1, "{json}");
    let all = json["checks"].as_array().unwrap();
    all.iter().filter(|check| check["id"] == id).cloned().collect()
}

#[track_caller]
fn check(ran: &Ran, id: &str) -> Value {
    let found = checks(ran, id);
    found.into_iter().next().unwrap_or_else(|| panic!("no {id} in {}", ran.stdout))
}

/// The first check that failed.
#[track_caller]
fn broken(ran: &Ran) -> Value {
    let json = ran.json();
    let all = json["checks"].as_array().unwrap();
    let first = all.iter().find(|check| check["state"] == "fail");
    first.unwrap_or_else(|| panic!("nothing failed: {}", ran.stdout)).clone()
}

#[test]
fn two_healthy_machines_have_no_broken_link() {
    let (laptop, server) = paired_daemons();
    laptop.append(["news"]);
    converge(SHORT, &[&laptop, &server]);
    let ran = doctor(&laptop).exits(0);
    for id in ["install_thrumd", "service_process", "socket_answers", "log", "tailnet_up"] {
        assert_eq!(check(&ran, id)["state"], "ok", "{}", ran.stdout);
    }
    for id in ["peer_port", "peer_http", "peer_token", "peer_sync"] {
        let check = check(&ran, id);
        assert_eq!((&check["state"], &check["peer"]), (&"ok".into(), &"server".into()), "{check}");
    }
    let text = laptop.thrum(&["doctor"]).exits(0).stdout;
    assert!(!text.contains("fail"), "{text}");
}

#[test]
fn a_start_that_failed_is_the_broken_link_until_one_succeeds() {
    let daemon = Setup::new("laptop").prepare();
    let client = Client::of_socket(daemon.socket(), daemon.folder().to_owned())
        .env("THRUM_STATE_DIR", daemon.state().display())
        .env("THRUM_TAILNET", "loopback")
        .env("THRUM_TS_HOSTNAME", "laptop");
    let _guard = process::Guard(daemon.state().to_owned());
    client.run(&["daemon", "start"]).exits(0);
    client.run(&["daemon", "stop"]).exits(0);
    let log = daemon.state().join("log.db");
    let whole = std::fs::read(&log).unwrap();
    std::fs::write(&log, "no database").unwrap();
    client.run(&["daemon", "start"]).exits(1);
    let ran = client.run(&["doctor", "--json"]).exits(6);
    let first = broken(&ran);
    assert_eq!(first["id"], "service_process", "{first}");
    assert!(first["message"].as_str().unwrap().contains("damaged"), "{first}");
    assert!(first["next"].as_str().unwrap().contains("thrum restore FILE"), "{first}");
    assert_eq!(check(&ran, "service_last_error")["because"], "service_process", "{}", ran.stdout);
    std::fs::write(&log, whole).unwrap();
    client.run(&["daemon", "start"]).exits(0);
    client.run(&["doctor"]).exits(0);
    client.run(&["daemon", "stop"]).exits(0);
    let after = broken(&client.run(&["doctor", "--json"]).exits(6));
    assert_eq!(after["message"], "thrumd is not running", "{after}");
}

#[test]
fn without_a_service_the_process_is_the_broken_link_and_the_rest_is_skipped() {
    let daemon = Setup::new("laptop").prepare();
    let client = Client::new(&daemon);
    let ran = client.run(&["doctor", "--json"]).exits(6);
    let first = broken(&ran);
    assert_eq!((&first["id"], &first["section"]), (&"service_process".into(), &"service".into()));
    assert_eq!(first["next"], "thrum daemon start");
    assert_eq!(check(&ran, "socket_found")["because"], "service_process");
    assert_eq!(check(&ran, "peers")["state"], "skipped");
    let text = client.run(&["doctor"]).exits(6).stdout;
    let end = text.split("First failure: ").nth(1).unwrap();
    assert!(end.starts_with("thrumd is not running\n  thrum daemon start\n"), "{text}");
}

#[test]
fn a_killed_service_is_told_from_one_that_never_ran() {
    let mut daemon = Daemon::start("laptop");
    daemon.kill();
    let ran = doctor(&daemon).exits(6);
    let first = broken(&ran);
    assert_eq!(first["id"], "service_process");
    assert!(first["message"].as_str().unwrap().contains("killed"), "{first}");
    assert_eq!(check(&ran, "socket_answers")["because"], "service_process");
}

#[test]
fn wrong_settings_are_the_broken_link_of_a_service_that_does_not_start() {
    let daemon = Setup::new("laptop").prepare();
    let ran = Client::new(&daemon).env("THRUM_TAILNET", "avian").run(&["doctor", "--json"]);
    let first = broken(&ran.exits(6));
    assert_eq!(first["id"], "service_settings", "{first}");
    assert!(first["message"].as_str().unwrap().contains("avian"), "{first}");
}

#[test]
fn cannot_reach_peer_leads_to_its_port() {
    let (laptop, mut server) = paired_daemons();
    server.stop();
    let ran = doctor(&laptop).exits(6);
    let first = broken(&ran);
    assert_eq!((&first["id"], &first["peer"]), (&"peer_port".into(), &"server".into()), "{first}");
    assert!(first["next"].is_string(), "{first}");
    for check in [check(&ran, "peer_http"), check(&ran, "peer_sync")] {
        assert_eq!(check["because"], "peer_port", "{check}");
    }
}

#[test]
fn a_rejected_code_leads_to_the_pairing_on_the_machine_that_shows_it() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    let session = laptop.open_pairing();
    std::thread::scope(|scope| {
        // Somebody waits for its end, or it ends by itself after 10 s.
        let until_the_end = PeerWaitParams { session: session.session, seen: 3 };
        scope.spawn(|| drop(laptop.call_within::<PeerWait>(until_the_end, LONG)));
        assert_eq!(check(&doctor(&laptop).exits(0), "pairing")["state"], "ok");
        let code = wrong(session.code.expose());
        server.join(&laptop, &code).unwrap_err();
        let one = check(&doctor(&laptop).exits(0), "pairing");
        assert_eq!(one["state"], "warn", "{one}");
        let two_left = "wrong codes of 2 more machines";
        assert!(one["message"].as_str().unwrap().contains(two_left), "{one}");
        for from in [2, 3] {
            guess(&laptop, from, &code).unwrap_err();
        }
    });
    let locked = check(&doctor(&laptop).exits(0), "pairing");
    assert_eq!(locked["state"], "warn", "{locked}");
    assert!(locked["message"].as_str().unwrap().contains("locked"), "{locked}");
    assert!(locked["next"].as_str().unwrap().starts_with("thrum peer add"), "{locked}");
    // A new session is a new beginning.
    let session = laptop.open_pairing().session;
    laptop.ask::<PeerCancel>(PeerCancelParams { session });
    assert_eq!(check(&doctor(&laptop).exits(0), "pairing")["state"], "ok");
}

#[test]
fn no_sync_after_pairing_leads_to_the_setting_that_forbids_it() {
    let (mut laptop, server) = paired_daemons();
    laptop.stop();
    laptop.set_env("THRUM_TS_ENABLED", false);
    laptop.start_again();
    let ran = doctor(&laptop).exits(6);
    assert_eq!(broken(&ran)["id"], "sync_setting");
    assert_eq!(check(&ran, "peer_sync")["because"], "sync_setting");
    // On the other machine nobody listens there.
    assert_eq!(broken(&doctor(&server).exits(6))["id"], "peer_port");
}

#[test]
fn no_sync_after_a_removal_there_leads_to_the_token() {
    let (laptop, server) = paired_daemons();
    server.ask::<PeerRemove>(PeerRemoveParams { peer: "laptop".to_owned() });
    eventually(SHORT, || {
        let ran = doctor(&laptop);
        let gone = laptop.ask::<PeerList>(Empty {}).peers.is_empty();
        let id = (!gone).then(|| checks(&ran, "peer_token"));
        let refused = |id: &Vec<Value>| id.iter().any(|check| check["state"] == "fail");
        holds(id.as_ref().is_some_and(refused), || ran.stdout.clone())
    });
}

#[test]
fn open_permissions_are_seen() {
    use std::os::unix::fs::PermissionsExt as _;
    let (laptop, _server) = paired_daemons();
    let peers = laptop.state().join("peers.json");
    std::fs::set_permissions(&peers, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(laptop.state(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = doctor(&laptop).exits(6);
    assert_eq!(check(&ran, "state_dir")["state"], "warn");
    let first = broken(&ran);
    assert_eq!(first["id"], "peers_file");
    assert!(first["next"].as_str().unwrap().starts_with("chmod 0600 "), "{first}");
}

#[track_caller]
fn every_problem_is_shown(daemon: &Daemon, wanted: &str) {
    eventually(SHORT, || {
        let problems = daemon.status().problems;
        holds(problems.iter().any(|problem| problem.id == wanted), || format!("{problems:?}"))
    });
    let ran = doctor(daemon).exits(6);
    for problem in daemon.status().problems {
        let found = checks(&ran, &problem.id);
        assert!(found.iter().any(|check| check["state"] != "ok"), "{problem:?}: {found:?}");
    }
}

#[test]
fn every_problem_of_status_is_a_check_that_is_not_ok() {
    let (mut laptop, mut server) = paired_daemons();
    server.stop();
    laptop.append(["news"]);
    every_problem_is_shown(&laptop, "peer_sync");
    laptop.stop();
    let other = laptop.folder().join("other-machine");
    std::fs::write(&other, "ffffffffffffffffffffffffffffffff\n").unwrap();
    laptop.set_env("THRUM_MACHINE_ID_FILE", other.display());
    laptop.start_again();
    every_problem_is_shown(&laptop, "identity");
    assert_eq!(broken(&doctor(&laptop))["id"], "identity");
}

#[test]
fn a_report_tells_no_name_address_path_or_message() {
    let daemon = Setup::new("zebra-laptop").start();
    let server = Setup::new("quokka-server").start();
    tests::harness::pair(&daemon, &server);
    let client =
        Client::new(&daemon).env("THRUM_AGENT", "wombat-planner").env("THRUM_PROJECT", "narwhal");
    client.run(&["send", "lemur-coder", "the axolotl is loose"]).exits(0);
    converge(SHORT, &[&daemon, &server]);
    let token = daemon.tokens().remove(0);
    let folder = daemon.folder().display().to_string();
    let ids = [daemon.id().to_string(), server.id().to_string()];
    let (port, peer_port) = (daemon.peer_address().port(), server.peer_address().port());
    let mut reports = Vec::new();
    for words in [&["doctor", "--report"][..], &["doctor", "--report", "--json"]] {
        reports.push(client.run(words).exits(0).stdout);
    }
    let mut server = server;
    server.stop();
    reports.push(client.run(&["doctor", "--report"]).exits(6).stdout);
    for report in reports {
        for secret in [
            "zebra",
            "quokka",
            "wombat",
            "narwhal",
            "lemur",
            "axolotl",
            "127.0.0.1",
            &token,
            &folder,
            &ids[0],
            &ids[1],
            "/tmp",
            "/home",
        ] {
            assert!(!report.contains(secret), "{secret:?} is in the report: {report}");
        }
        // A size or a time may have one in it.
        for port in [port, peer_port] {
            assert!(!has_word(&report, &port.to_string()), "{port} is in the report: {report}");
        }
        for wanted in ["0.1.0", "service_process", "peer_port", "events"] {
            assert!(report.contains(wanted), "{wanted:?} is not in the report: {report}");
        }
    }
}
