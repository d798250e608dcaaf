//! What the client shows: status, peers, events, as text and as JSON.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use tests::harness::{Client, Daemon, SHORT, converge, eventually, holds, paired_daemons};

#[test]
fn status_has_the_block_that_users_know() {
    let (laptop, server) = paired_daemons();
    laptop.append(["news"]);
    server.append(["news too"]);
    converge(SHORT, &[&laptop, &server]);
    let text = eventually(SHORT, || {
        let text = laptop.thrum(&["status"]).exits(0).stdout;
        holds(text.contains("  Peers: 1 connected"), || text.clone()).map(|()| text)
    });
    assert!(text.contains("Tailscale Sync: enabled\n"), "{text}");
    assert!(text.contains("  Hostname: laptop"), "{text}");
    assert!(text.contains("  Last sync: "), "{text}");
    assert!(text.contains("loopback"), "the kind without identity says so: {text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn peer_status_shows_how_it_stands() {
    let (laptop, mut server) = paired_daemons();
    laptop.append(["news"]);
    converge(SHORT, &[&laptop, &server]);
    eventually(SHORT, || {
        let text = laptop.thrum(&["peer", "status"]).exits(0).stdout;
        let there = text.contains("server") && text.contains("in sync");
        holds(there && text.contains(&server.peer_address().to_string()), || text)
    });
    server.stop();
    laptop.append(["while it is away"]);
    eventually(SHORT, || {
        let ran = laptop.thrum(&["peer", "status", "--json"]).exits(0);
        let json = ran.json();
        let peer = &json["peers"][0];
        let away = peer["state"] == "backing_off" && peer["they_lack"] == 1;
        holds(away && peer["last_error"].is_string(), || json.to_string())
    });
}

#[test]
fn every_reading_command_has_json_with_a_schema() {
    let (laptop, _server) = paired_daemons();
    let client = Client::new(&laptop).env("THRUM_AGENT", "a");
    client.run(&["send", "a", "to myself"]).exits(0);
    for words in [
        &["status"][..],
        &["inbox"],
        &["peer", "list"],
        &["peer", "status"],
        &["daemon", "status"],
        &["send", "b", "hello"],
    ] {
        let mut words = words.to_vec();
        words.push("--json");
        let json = client.run(&words).exits(0).json();
        assert_eq!(json["schema"], 1, "thrum {words:?}: {json}");
        assert!(!json.to_string().contains(":null"), "absent rather than null: {json}");
    }
    let lines = client.run(&["events", "--json"]).exits(0).stdout;
    assert!(lines.lines().count() >= 2, "{lines}");
    for line in lines.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event.is_object(), "one object a line: {line}");
    }
}

#[test]
fn check_is_silent_and_only_exits() {
    let daemon = Daemon::start("laptop");
    let ran = daemon.thrum(&["status", "--check"]).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn health_has_the_shape_that_users_know() {
    let (laptop, server) = paired_daemons();
    let answer = laptop.post(br#"{"jsonrpc":"2.0","id":1,"method":"health"}"#).json();
    let sync = &answer["result"]["tailscale_sync"];
    assert_eq!(sync["enabled"], true, "{answer}");
    assert_eq!(sync["hostname"], "laptop", "{answer}");
    assert_eq!(sync["peer_count"], 1, "{answer}");
    assert_eq!(sync["peers"][0]["name"], "server", "{answer}");
    assert_eq!(sync["peers"][0]["daemon_id"], server.id().to_string(), "{answer}");
    assert!(sync["peers"][0]["last_sync"].is_string(), "{answer}");
}

#[test]
fn following_events_has_no_gap_and_no_repeat() {
    let daemon = Daemon::start("laptop");
    daemon.append((0..50).map(|n| n.to_string()));
    let mut child = Client::new(&daemon)
        .command(&["events", "--follow", "--json", "--type", "test.note"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut texts: Vec<u32> = Vec::new();
    let mut written = 50;
    while texts.last() != Some(&149) {
        let line = lines.recv_timeout(SHORT).unwrap_or_else(|_| panic!("after {texts:?}: nothing"));
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = [&event["body"]["text"], &event["event"]["body"]["text"]]
            .into_iter()
            .find_map(|text| text.as_str())
            .unwrap_or_else(|| panic!("no text in {line}"));
        texts.push(text.parse().unwrap());
        if written < 150 {
            daemon.append([written.to_string()]);
            written += 1;
        }
    }
    let first = texts[0];
    let wanted: Vec<u32> = (first..150).collect();
    assert_eq!(texts, wanted);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
}

#[test]
fn metrics_are_there_for_prometheus() {
    let daemon = Daemon::start("laptop");
    let mut stream = tests::harness::connect_unix(&daemon.socket()).unwrap();
    let request = tests::harness::http::request("GET", "/metrics", &[], b"");
    let response = tests::harness::http::exchange(&mut stream, &request).unwrap();
    assert_eq!(response.status, 200);
    let text = response.text();
    assert!(text.lines().any(|line| line.starts_with("thrum")), "{text}");
}
