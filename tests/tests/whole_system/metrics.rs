//! `/metrics`: every family of docs/monitoring.md, and that each moves when its cause happens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tests::harness::{
    Daemon, LONG, Origin, SHORT, Scrape, Setup, Tmpfs, converge, eventually, holds, in_sync,
    paired_daemons, skip, while_appending,
};
use thrum_api::local::{MessageSend, MessageSendParams, SessionStart, SessionStartParams};
use thrum_api::peer::{Run, SyncPull};
use thrum_api::proof::Signature;
use thrum_api::{ErrorCode, Method as _, Token};

use crate::forged::Hostile;
use crate::pairing::wrong;
use crate::pairing_codes::guess;

fn send(daemon: &Daemon, from: &str, to: &str, text: &str) {
    let params = json!({ "from": from, "to": [to], "project": "app", "text": text });
    let params: MessageSendParams = serde_json::from_value(params).unwrap();
    daemon.ask::<MessageSend>(params);
}

/// Waits until a sample has such a value. Answers the page that has it.
#[track_caller]
fn shows(
    daemon: &Daemon,
    name: &str,
    labels: &[(&str, &str)],
    is_right: impl Fn(f64) -> bool,
) -> Scrape {
    eventually(SHORT, || {
        let page = daemon.scrape();
        let value = page.get(name, labels);
        holds(value.is_some_and(&is_right), || format!("{name} {labels:?}: {value:?}"))?;
        Ok(page)
    })
}

/// The table of families: name, type and labels of each.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let page = include_str!("../../../docs/monitoring.md");
    let (_, table) = page.split_once("### Families").unwrap();
    let words = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        let name = cells[0].trim_end_matches('`').to_owned();
        Some((name, (cells[1].to_owned(), words(cells[2]))))
    };
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|')).filter_map(row).collect()
}

#[test]
fn the_families_of_the_documentation_are_those_of_a_daemon() {
    let (laptop, server) = paired_daemons();
    send(&laptop, "planner", "coder", "to somebody here");
    let start = json!({ "agent": "coder", "project": "app", "pid": std::process::id() });
    let start: SessionStartParams = serde_json::from_value(start).unwrap();
    laptop.ask::<SessionStart>(start);
    send(&laptop, "planner", "coder", "this is unread");
    send(&server, "reviewer", "coder", "from elsewhere");
    converge(SHORT, &[&laptop, &server]);
    in_sync(&[&laptop, &server]);
    let page = shows(&laptop, "thrumd_unread_messages", &[], |unread| unread >= 2.0);
    let documented = documented();
    let types: BTreeMap<_, _> =
        documented.iter().map(|(name, (kind, _))| (name.clone(), kind.clone())).collect();
    assert_eq!(page.types, types);
    for (name, (_, labels)) in &documented {
        assert_eq!(page.labels(name).as_ref(), Some(labels), "{name}");
    }
}

#[test]
fn what_arrives_is_measured_and_a_peer_that_is_away_is_told() {
    let (laptop, mut server) = paired_daemons();
    for n in 0..5 {
        laptop.append([n]);
    }
    converge(SHORT, &[&laptop, &server]);
    in_sync(&[&laptop, &server]);
    let there = server.scrape();
    assert_eq!(there.value("thrumd_event_age_seconds_count", &[]), 5.0);
    assert!(there.value("thrumd_event_age_seconds_sum", &[]) >= 0.0);
    assert_eq!(there.value("thrumd_log_append_duration_seconds_count", &[]), 0.0);
    assert!(there.value("thrumd_log_commit_duration_seconds_count", &[]) >= 1.0);
    assert!(there.value("thrumd_sync_events_received_total", &[]) >= 5.0);
    assert!(there.value("thrumd_requests_total", &[("surface", "peer"), ("code", "ok")]) >= 1.0);

    let id = server.id().to_string();
    let peer = [("daemon_id", id.as_str())];
    let here = laptop.scrape();
    assert_eq!(here.value("thrumd_log_append_duration_seconds_count", &[]), 5.0);
    assert_eq!(here.value("thrumd_event_age_seconds_count", &[]), 0.0);
    assert!(here.value("thrumd_sync_notify_duration_seconds_count", &[]) >= 1.0);
    assert!(here.value("thrumd_sync_requests_total", &[("method", "sync.notify")]) >= 1.0);
    assert_eq!(here.value("thrumd_peers", &[("state", "in_sync")]), 1.0);
    assert_eq!(here.value("thrumd_peer_state", &[peer[0], ("state", "in_sync")]), 1.0);
    assert_eq!(here.value("thrumd_peer_info", &[peer[0], ("name", "server")]), 1.0);
    assert_eq!(here.value("thrumd_peer_reachable", &peer), 1.0);
    assert_eq!(here.value("thrumd_peer_lag_seconds", &peer), 0.0);
    assert_eq!(here.value("thrumd_peer_they_lack_events", &peer), 0.0);
    let started = here.value("process_start_time_seconds", &[]);
    // Counted back from the clock it would be another millisecond now and then.
    for _ in 0..20 {
        let again = laptop.scrape();
        assert_eq!(again.value("process_start_time_seconds", &[]), started);
        assert_eq!(again.value("thrumd_start_time_seconds", &[]), started);
    }
    let contact = here.value("thrumd_peer_last_contact_timestamp_seconds", &peer);
    let success = here.value("thrumd_peer_last_success_timestamp_seconds", &peer);
    assert!(contact >= started && success >= started, "{started} {contact} {success}");

    server.stop();
    laptop.append(["while it is away"]);
    shows(&laptop, "thrumd_peer_reachable", &peer, |reachable| reachable == 0.0);
    let page = shows(&laptop, "thrumd_peer_lag_seconds", &peer, |lag| lag > 0.0);
    let lag = page.value("thrumd_peer_lag_seconds", &peer);
    assert_eq!(page.value("thrumd_peer_they_lack_events", &peer), 1.0);
    let kind = ("kind", "unreachable");
    let failed = |method| page.value("thrumd_sync_errors_total", &[("method", method), kind]);
    assert!(failed("sync.notify") + failed("sync.pull") >= 1.0);
    shows(&laptop, "thrumd_peer_lag_seconds", &peer, |later| later > lag);
    server.start_again();
    shows(&laptop, "thrumd_peer_lag_seconds", &peer, |lag| lag == 0.0);
}

#[test]
fn a_restart_does_not_forget_when_a_peer_was_synced() {
    let (mut laptop, mut server) = paired_daemons();
    server.append(["from there"]);
    laptop.append(["from here"]);
    converge(SHORT, &[&laptop, &server]);
    in_sync(&[&laptop, &server]);
    let id = server.id().to_string();
    let peer = [("daemon_id", id.as_str())];
    let success = "thrumd_peer_last_success_timestamp_seconds";
    let before = laptop.scrape().value(success, &peer);
    server.stop();
    laptop.append(["while it is away"]);
    laptop.stop();
    laptop.start_again();
    let page = laptop.scrape();
    // Both are told in milliseconds, one by the clock of the log.
    assert!(page.value(success, &peer) >= before - 10.0);
    assert_eq!(page.get("thrumd_peer_last_contact_timestamp_seconds", &peer), None);
}

#[test]
fn who_is_refused_is_counted_by_the_reason() {
    let laptop = Daemon::start("laptop");
    let refused = |reason, at_least: f64| {
        shows(&laptop, "thrumd_refused_total", &[("reason", reason)], |count| count >= at_least);
    };
    let code = laptop.open_pairing().code;
    guess(&laptop, 2, &wrong(code.expose())).unwrap_err();
    refused("wrong_code", 1.0);
    // On a busy machine it may have waited for the second that it has to: the next time that is longer.
    eventually(SHORT, || {
        guess(&laptop, 2, &wrong(code.expose())).unwrap_err();
        let count = laptop.scrape().get("thrumd_refused_total", &[("reason", "code_wait")]);
        holds(count.is_some_and(|count| count >= 1.0), || format!("{count:?}"))
    });
    guess(&laptop, 3, &wrong(code.expose())).unwrap_err();
    guess(&laptop, 4, &wrong(code.expose())).unwrap_err();
    refused("locked", 1.0);
    let pull = br#"{"jsonrpc":"2.0","id":1,"method":"sync.pull","params":{}}"#;
    laptop.stranger().post(pull).unwrap();
    refused("no_token", 1.0);
    let token: Token = "ab".repeat(32).parse().unwrap();
    laptop.stranger().with_token(token).post(pull).unwrap();
    refused("unknown_token", 1.0);
    laptop.stranger().post(b"no json").unwrap();
    refused("invalid", 1.0);
    let labels = [("surface", "peer"), ("method", SyncPull::NAME), ("code", "not_authenticated")];
    assert!(laptop.scrape().value("thrumd_requests_total", &labels) >= 1.0);
}

#[test]
fn what_callers_send_makes_no_series() {
    let laptop = Daemon::start("laptop");
    // So that peers can call it.
    laptop.open_pairing();
    for n in 0..50 {
        let method = format!("made.up.{n}\"}} 1\nthrumd_log_head");
        let body = json!({ "jsonrpc": "2.0", "id": n, "method": method, "params": {} });
        laptop.post(body.to_string().as_bytes());
        let from = laptop.stranger().at(Ipv4Addr::new(127, 0, 0, 9));
        from.post(body.to_string().as_bytes()).unwrap();
    }
    let page = laptop.scrape();
    let labels = [("surface", "local"), ("method", "other"), ("code", "method_not_found")];
    assert_eq!(page.value("thrumd_requests_total", &labels), 50.0);
    let made_up = |text: &String| text.contains("made");
    let series = page.samples.iter().filter(|sample| sample.labels.values().any(made_up));
    assert_eq!(series.count(), 0);
}

#[test]
fn what_is_quarantined_is_counted_by_the_reason() {
    let laptop = Setup::new("laptop").look_every_ms(1000).start();
    let mut hostile = Hostile::new();
    let run = |text: &str| {
        let mut origin = Origin::new();
        let event = origin.note(text);
        origin.run(&[event])
    };
    let unsigned = Run { signature: Signature([1; 64]), ..run("forged") };
    let mut origin = Origin::new();
    let no_event = origin.write("{\"is\":\"no event\"}".to_owned());
    hostile.says(vec![unsigned, origin.run(&[no_event])]);
    hostile.fake.joins(&laptop);
    let total = "thrumd_log_quarantined_total";
    shows(&laptop, total, &[("reason", "not_proved")], |count| count == 1.0);
    let page = shows(&laptop, total, &[("reason", "invalid")], |count| count == 1.0);
    assert_eq!(page.value(total, &[("reason", "damaged")]), 0.0);
    assert_eq!(page.value("thrumd_log_quarantine_entries", &[]), 2.0);
    assert_eq!(page.value("thrumd_problems", &[("id", "quarantine")]), 1.0);
    assert_eq!(page.value("thrumd_event_age_seconds_count", &[]), 0.0);
}

#[test]
fn a_full_disk_is_counted_and_its_end_is_noticed_although_nobody_writes() {
    let disk = match Tmpfs::mount(8) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let laptop = Setup::new("laptop").state_in(disk.path()).start();
    laptop.append(["before"]);
    let filler = disk.fill();
    eventually(SHORT, || match laptop.try_append(["x".repeat(100_000)]) {
        Ok(_) => Err("appends go on with a full disk".to_owned()),
        Err(error) => holds(error.code() == Some(ErrorCode::STORAGE), || error.to_string()),
    });
    let page = laptop.scrape();
    assert!(page.value("thrumd_log_write_failures_total", &[("reason", "full")]) >= 1.0);
    assert_eq!(page.value("thrumd_log_write_failing", &[]), 1.0);
    assert_eq!(page.value("thrumd_problems", &[("id", "disk")]), 1.0);
    assert!(page.value("thrumd_disk_free_bytes", &[]) < 1_000_000.0);
    assert!(page.value("thrumd_disk_size_bytes", &[]) >= 8.0 * 1024.0 * 1024.0);
    let labels = [("surface", "local"), ("method", "event.append"), ("code", "storage")];
    assert!(page.value("thrumd_requests_total", &labels) >= 1.0);
    assert!(page.value("thrumd_request_failures_total", &[labels[0], labels[2]]) >= 1.0);
    std::fs::remove_file(filler).unwrap();
    eventually(SHORT, || {
        laptop.scrape();
        let log = laptop.log_text();
        holds(log.contains("events can be written to"), || log)
    });
    shows(&laptop, "thrumd_log_write_failing", &[], |failing| failing == 0.0);
}

#[test]
fn a_log_that_was_rolled_back_is_counted() {
    let (mut laptop, server) = paired_daemons();
    laptop.append(["before"]);
    converge(SHORT, &[&laptop, &server]);
    let backup = laptop.backup_and_go_on();
    laptop.append(["after"]);
    converge(SHORT, &[&laptop, &server]);
    laptop.stop();
    laptop.restore_database(backup.path());
    laptop.start_again();
    shows(&laptop, "thrumd_log_rollbacks_total", &[], |count| count == 1.0);
}

#[test]
fn a_scrape_is_answered_while_the_log_is_flooded() {
    let mut laptop = Daemon::start("laptop");
    let scraped = AtomicBool::new(false);
    let (pages, _) = while_appending(&laptop, "flood", |acknowledged| {
        let mut pages = Vec::new();
        for _ in 0..20 {
            acknowledged.recv_timeout(LONG).unwrap();
            pages.push(laptop.scrape());
        }
        scraped.store(true, Ordering::Relaxed);
        // Ends those who write.
        tests::harness::process::signal(laptop.pid(), rustix::process::Signal::KILL);
        pages
    });
    laptop.ended();
    let heads: Vec<f64> = pages.iter().map(|page| page.value("thrumd_log_head", &[])).collect();
    assert!(heads.is_sorted() && heads.first() < heads.last(), "{heads:?}");
    let counts = pages.iter().map(|page| {
        let count = page.value("thrumd_log_append_duration_seconds_count", &[]);
        let buckets = [("le", "+Inf")];
        assert_eq!(page.value("thrumd_log_append_duration_seconds_bucket", &buckets), count);
        count
    });
    assert!(counts.is_sorted());
}
