use thrum_api::Timestamp;
use thrum_api::local::{CheckState, PEER_CHECKS};

use super::finding::Findings;
use super::service::{last_error_of, one_line};
use super::*;
use crate::endpoint::Endpoints;
use crate::error::Error;

fn nowhere(folder: &std::path::Path) -> CheckContext {
    let endpoints = Endpoints { state_dir: Some(folder.to_owned()), ..Endpoints::default() };
    CheckContext {
        daemon: Err(Error::NotRunning { endpoints: String::new(), hint: String::new() }),
        endpoints,
        thrumd: Err(Error::failed("there is none", "build it")),
        unit: false,
        agent: Err(Error::usage("who?", "say")),
        project: Ok("p".to_owned()),
    }
}

fn of<'a>(all: &'a [Finding], id: &str) -> &'a Finding {
    all.iter().find(|found| found.check.id == id).unwrap_or_else(|| panic!("no {id}"))
}

#[tokio::test]
async fn what_follows_from_a_broken_link_is_skipped_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let all = examine(&nowhere(folder.path())).await;
    assert_eq!(first_broken(&all).unwrap().check.id, "install_thrumd");
    assert_eq!(of(&all, "service_process").check.state, CheckState::Fail);
    for found in &all {
        let Some(because) = &found.check.because else { continue };
        assert_eq!(found.check.state, CheckState::Skipped, "{found:?}");
        let cause = of(&all, because);
        assert_ne!(cause.check.state, CheckState::Ok, "{found:?} blames what is fine");
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
async fn sections_come_in_the_order_of_the_chain_and_ids_once() {
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
fn the_last_error_is_found_and_an_old_one_is_not_held_against_a_running_service() {
    let lines: Vec<String> = [
        "2026-11-25T10:00:00.000Z ERROR can't write",
        "2026-11-25T10:00:01.000Z  INFO started as ERROR",
        "Error: the port is taken",
        "Caused by: address in use",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(last_error_of(&lines, None).as_deref(), Some("the port is taken"));
    let at = |text: &str| {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(time.as_millisecond())
    };
    let before = at("2026-11-25T09:59:59Z");
    assert_eq!(last_error_of(&lines, Some(before)).as_deref(), Some("can't write"));
    assert_eq!(last_error_of(&lines, Some(at("2026-11-25T10:00:01Z"))), None);
}

#[test]
fn a_text_from_elsewhere_becomes_one_line() {
    assert_eq!(one_line("a\n  b\u{1b}[2J"), "a b\\u{1b}[2J");
    assert_eq!(one_line(&"x".repeat(1000)).len(), 303);
}

/// A tailscaled that gives one answer.
fn fake_tailscaled(socket: &std::path::Path, answer: &'static str) {
    use std::io::{Read as _, Write as _};
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
        assert!(request.starts_with("get /localapi/v0/status"), "{request}");
        assert!(request.contains("host: local-tailscaled.sock\r\n"), "{request}");
        write!(stream, "HTTP/1.1 {answer}").unwrap();
    });
}

#[tokio::test]
async fn each_state_of_tailscaled_is_told_apart() {
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
    let Tailscaled::Says(status) = there else { panic!("{there:?}") };
    assert_eq!(
        (status.backend_state.as_str(), status.version.as_str()),
        ("NeedsLogin", "1.96.0-x")
    );
}

#[test]
fn a_service_that_does_not_look_at_a_peer_is_a_problem() {
    let found = Findings::of(Section::Peers);
    let late = Error::TimedOut { message: "no answer to peer.check within 45 s".to_owned() };
    let links = peers::links(&found, Err(late));
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].check.state, CheckState::Fail);
    assert!(links[0].check.message.contains("no answer to peer.check within 45 s"), "{links:?}");
    assert!(links[0].check.next.is_some(), "{links:?}");
}
