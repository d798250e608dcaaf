use thrum_api::Timestamp;
use thrum_api::local::{CheckState, PEER_CHECKS};

use super::finding::Findings;
use super::service::{last_error_of, one_line};
use super::*;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::project::Project;

pub(super) fn nowhere(folder: &std::path::Path) -> CheckContext {
    let endpoints = Endpoints { state_dir: Some(folder.to_owned()), ..Endpoints::default() };
    CheckContext {
        daemon: Err(Error::NotRunning { endpoints: String::new(), hint: String::new() }),
        endpoints,
        thrumd: Err(Error::failed("there is none", "build it")),
        unit: false,
        agent: Err(Error::usage("who?", "say")),
        project: Ok(Project { name: "p".to_owned(), source: "says so".to_owned() }),
        tools: Vec::new(),
    }
}

fn of<'a>(all: &'a [Finding], id: &str) -> &'a Finding {
    all.iter().find(|found| found.check.id == id).unwrap_or_else(|| panic!("no {id}"))
}

#[tokio::test]
async fn checks_that_depend_on_a_failed_one_are_skipped_and_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let all = examine(&nowhere(folder.path())).await;
    assert_eq!(first_broken(&all).unwrap().check.id, "install_thrumd");
    assert_eq!(of(&all, "service_process").check.state, CheckState::Fail);
    for found in &all {
        let Some(because) = &found.check.because else { continue };
        assert_eq!(found.check.state, CheckState::Skipped, "{found:?}");
        let cause = of(&all, because);
        assert_ne!(cause.check.state, CheckState::Ok, "{found:?} names a successful check");
    }
}

#[tokio::test]
async fn every_bad_finding_says_what_to_do_next() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("peers.json"), "{}").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(folder.path(), mode(0o755)).unwrap();
    std::fs::set_permissions(folder.path().join("peers.json"), mode(0o644)).unwrap();
    let all = examine(&nowhere(folder.path())).await;
    assert_eq!(of(&all, "state_dir").check.state, CheckState::Warn);
    assert_eq!(of(&all, "peers_file").check.state, CheckState::Fail);
    for found in all.iter().filter(|found| found.is_bad()) {
        assert!(found.check.next.is_some(), "{found:?}");
    }
}

#[tokio::test]
async fn sections_are_in_order_and_ids_are_unique() {
    let folder = tempfile::tempdir().unwrap();
    let all = examine(&nowhere(folder.path())).await;
    assert!(all.is_sorted_by_key(|found| found.section), "{all:?}");
    let ids: std::collections::BTreeSet<_> = all.iter().map(|found| &found.check.id).collect();
    assert_eq!(ids.len(), all.len(), "{all:?}");
    let sections: std::collections::BTreeSet<_> = all.iter().map(|found| found.section).collect();
    assert_eq!(sections.len(), Section::ALL.len());
}

#[tokio::test]
async fn the_manual_explains_every_id_under_the_heading_that_is_linked() {
    let manual = include_str!("../../../docs/operations.md");
    let folder = tempfile::tempdir().unwrap();
    let all = examine(&nowhere(folder.path())).await;
    let ids = all.iter().map(|found| (found.section, found.check.id.as_str()));
    // A machine without peers shows none of these.
    let of_peers = PEER_CHECKS.into_iter().chain(["peer_token_elsewhere", "peer_sync"]);
    for (section, id) in ids.chain(of_peers.map(|id| (Section::Peers, id))) {
        let heading = format!("\n### Doctor: {}\n", section.word());
        let (_, text) = manual.split_once(&heading).unwrap_or_else(|| panic!("no {heading:?}"));
        let text = text.split("\n#").next().unwrap();
        assert!(text.contains(&format!("\n| `{id}` |")), "{id} is not under {heading:?}");
    }
}

#[test]
fn the_last_error_is_found_and_one_before_the_start_is_ignored() {
    let lines: Vec<String> = [
        "2026-11-25T10:00:00.000Z ERROR can't write",
        "2026-11-25T10:00:01.000Z  INFO started as ERROR",
        "Error: the port is taken",
        "Caused by: address in use",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(last_error_of(&lines, None).as_deref(), Some("the port is taken: address in use"));
    let mut ran_since = lines.clone();
    ran_since.push("2026-11-25T10:00:03Z  INFO thrumd ready".to_owned());
    assert_eq!(last_error_of(&ran_since, None).as_deref(), Some("can't write"));
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let before = at("2026-11-25T09:59:59Z");
    assert_eq!(last_error_of(&lines, Some(before)).as_deref(), Some("can't write"));
    assert_eq!(last_error_of(&lines, Some(at("2026-11-25T10:00:01Z"))), None);
}

#[test]
fn foreign_text_becomes_one_line() {
    assert_eq!(one_line("a\n  b\u{1b}[2J"), "a b\\u{1b}[2J");
    assert_eq!(one_line(&"x".repeat(1000)).len(), 303);
}

/// A tailscaled that gives one answer.
fn fake_tailscaled(socket: &std::path::Path, answer: &'static str) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // `read_line` retries EINTR and reads on after a partial request.
        let (mut request, mut reader) = (String::new(), BufReader::new(&stream));
        while !request.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut request).unwrap(), 0, "{request}");
        }
        let request = request.to_lowercase();
        assert!(request.starts_with("get /localapi/v0/status"), "{request}");
        assert!(request.contains("host: local-tailscaled.sock\r\n"), "{request}");
        write!(stream, "HTTP/1.1 {answer}").unwrap();
    });
}

#[tokio::test]
async fn each_state_of_tailscaled_is_distinguished() {
    use super::localapi::{Tailscaled, tailscaled};
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none");
    let there = tailscaled(Some(&socket)).await;
    assert!(matches!(there, Tailscaled::NotInstalled | Tailscaled::NotRunning), "{there:?}");

    let socket = folder.path().join("dead");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let there = tailscaled(Some(&socket)).await;
    assert!(matches!(there, Tailscaled::NotInstalled | Tailscaled::NotRunning), "{there:?}");

    let socket = folder.path().join("denies");
    fake_tailscaled(&socket, "403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let there = tailscaled(Some(&socket)).await;
    assert!(matches!(there, Tailscaled::NoPermission), "{there:?}");

    let socket = folder.path().join("html");
    fake_tailscaled(&socket, "200 OK\r\ncontent-length: 2\r\n\r\n<>");
    let there = tailscaled(Some(&socket)).await;
    assert!(matches!(there, Tailscaled::NoAnswer(_)), "{there:?}");

    let socket = folder.path().join("logged-out");
    fake_tailscaled(
        &socket,
        "200 OK\r\ncontent-length: 50\r\n\r\n{\"BackendState\":\"NeedsLogin\",\"Version\":\"1.96.0-x\"}",
    );
    let there = tailscaled(Some(&socket)).await;
    let Tailscaled::Answers(status) = there else { panic!("{there:?}") };
    assert_eq!(
        (status.backend_state.as_str(), status.version.as_str()),
        ("NeedsLogin", "1.96.0-x")
    );
}

#[test]
fn a_missing_peer_check_is_a_failure() {
    let found = Findings::of(Section::Peers);
    let late = Error::TimedOut { message: "no answer to peer.check within 45 s".to_owned() };
    let all = peers::connection(&found, Err(late));
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].check.state, CheckState::Fail);
    assert!(all[0].check.message.contains("no answer to peer.check within 45 s"), "{all:?}");
    assert!(all[0].check.next.is_some(), "{all:?}");
}
