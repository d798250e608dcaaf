mod hints;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::follow::LOOPBACK;
use super::shared::LOCATED_MAX;
use super::*;
use crate::tailnet::hints::Hint;
use crate::tailnet::localapi::fake::Fake;
use crate::tailnet::{Presence, Tailnet, TailnetError};
use crate::testing::soon;

async fn wait_for(kind: &Tailscaled, wanted: impl Fn(&State) -> bool) -> State {
    let mut states = kind.state();
    let state = tokio::time::timeout(Duration::from_secs(20), states.wait_for(|s| wanted(s))).await;
    match state {
        Ok(state) => state.unwrap().clone(),
        Err(_) => panic!("still {:?}", kind.state().borrow()),
    }
}

fn is_up(state: &State) -> bool {
    matches!(state, State::Up { .. })
}

fn node(id: &str, name: &str, ip: &str, user: i64) -> Value {
    json!({"ID": id, "DNSName": name, "TailscaleIPs": [ip], "UserID": user, "Online": true,
        "NodeID": id.parse::<i64>().unwrap() * 11})
}

/// A tailnet on loopback addresses, which every Linux has all of.
fn status() -> Value {
    json!({
        "TUN": true, "BackendState": "Running", "TailscaleIPs": ["127.0.0.2"],
        "Self": {"ID": "1", "DNSName": "Alpha.tail.test.", "UserID": 7,
            "TailscaleIPs": ["127.0.0.2"], "Addrs": ["10.0.0.1:1"]},
        "CurrentTailnet": {"MagicDNSSuffix": "tail.test"},
        "Peer": {
            "nodekey:b": node("2", "beta.tail.test.", "127.0.0.3", 7),
            "nodekey:g": node("3", "gamma.tail.test.", "127.0.0.4", 8),
            "nodekey:x": node("4", "shared.other.test.", "127.0.0.5", 9),
            "nodekey:y": node("5", "twice.other.test.", "127.0.0.6", 9),
            "nodekey:z": node("6", "twice.third.test.", "127.0.0.7", 9),
        },
        "User": {"7": {"ID": 7, "LoginName": "al@example.com"}, "8": {"LoginName": "bo@example.com"}},
    })
}

async fn up() -> (Fake, Tailscaled) {
    let fake = Fake::start();
    fake.set("status", 200, status().to_string());
    let kind = open(&fake);
    wait_for(&kind, is_up).await;
    (fake, kind)
}

fn open(fake: &Fake) -> Tailscaled {
    Tailscaled::open(TailscaledConfig { socket: Some(fake.socket()), instance: Instance::System })
}

#[tokio::test]
async fn names_and_addresses_follow_the_tailnet() {
    let (fake, kind) = up().await;
    let expected =
        Presence::Up { addresses: vec!["127.0.0.2".parse().unwrap()], hostname: "alpha".into() };
    assert_eq!(*kind.presence().borrow(), expected);
    let mut new = status();
    new["Self"]["DNSName"] = json!("omega.tail.test.");
    new["Self"]["TailscaleIPs"] = json!(["127.0.0.9"]);
    new["TailscaleIPs"] = json!(["127.0.0.9"]);
    new["Peer"]["nodekey:b"]["DNSName"] = json!("renamed.tail.test.");
    new["Peer"]["nodekey:b"]["TailscaleIPs"] = json!(["127.0.0.33"]);
    fake.status(&new);
    wait_for(&kind, |s| matches!(s, State::Up { hostname, .. } if hostname == "omega")).await;
    assert_eq!(kind.locate("2").unwrap().unwrap(), ["127.0.0.33".parse::<IpAddr>().unwrap()]);
    assert_eq!(kind.resolve("renamed").unwrap().node.unwrap().stable_id, "2");
    assert_eq!(kind.locate("77").unwrap(), None);
}

#[tokio::test]
async fn status_is_not_read_without_an_update_and_rarely_in_a_burst() {
    let (fake, kind) = up().await;
    fake.requests();
    for _ in 0..30 {
        fake.update("{\"Health\":{}}\n");
    }
    let mut new = status();
    new["Self"]["DNSName"] = json!("omega.tail.test.");
    fake.status(&new);
    wait_for(&kind, |s| matches!(s, State::Up { hostname, .. } if hostname == "omega")).await;
    let asked = fake.requests();
    assert!((1..=3).contains(&asked.len()), "{asked:?}");
    assert!(asked.iter().all(|it| it == "GET status"), "{asked:?}");
}

#[tokio::test]
async fn a_tailscaled_that_stopped_is_found_again() {
    let (mut fake, kind) = up().await;
    soon(kind.hints().next()).await;
    fake.down();
    let state = wait_for(&kind, |s| !is_up(s)).await;
    assert!(matches!(state, State::NotRunning { .. }), "{state:?}");
    assert!(matches!(kind.locate("2"), Err(TailnetError::Waiting { .. })));
    let refused = kind.connect("127.0.0.3:1".parse().unwrap()).await.err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::NotConnected);
    fake.remove_socket();
    fake.up();
    kind.retry_now();
    wait_for(&kind, is_up).await;
    assert_eq!(soon(kind.hints().next()).await, Hint::OurNetwork);
}

#[tokio::test]
async fn every_state_has_its_own_text_and_remedy() {
    let (fake, kind) = up().await;
    let mut seen = std::collections::BTreeSet::new();
    for (change, name, words) in [
        (json!({"BackendState": "NoState"}), "Starting", "is starting"),
        (json!({"BackendState": "Stopped"}), "Stopped", "tailscale up`"),
        (json!({"BackendState": "NeedsLogin"}), "LoggedOut", "is logged out; run `"),
        (
            json!({"BackendState": "NeedsLogin", "AuthURL": "https://login.example/a/1"}),
            "LoggedOut",
            "is logged out; open https://login.example/a/1",
        ),
        (
            json!({"BackendState": "NeedsLogin", "Self": {"Expired": true}}),
            "KeyExpired",
            "--force-reauth",
        ),
        (
            json!({"BackendState": "NoState", "Health":
                ["You are logged out. The last login error was: invalid pre auth key"]}),
            "LoginFailed",
            "can't log in: invalid pre auth key",
        ),
        (json!({"BackendState": "NeedsMachineAuth"}), "NeedsApproval", "admin console"),
        (json!({"BackendState": "InUseOtherUser"}), "InUse", "another user"),
        (json!({"BackendState": "Dancing"}), "Unknown", "\"Dancing\""),
        // No interface has it: TEST-NET-1.
        (json!({"TailscaleIPs": ["192.0.2.1"]}), "NoAddress", "192.0.2.1"),
        (json!({"TailscaleIPs": null, "Self": null}), "Starting", "is starting"),
    ] {
        let mut new = status();
        for (key, value) in change.as_object().unwrap() {
            new[key] = value.clone();
        }
        fake.status(&new);
        let what = |state: &State| {
            format!("{state:?}").starts_with(name)
                && state.describe(Instance::System).contains(words)
        };
        let state = wait_for(&kind, what).await;
        seen.insert(state.describe(Instance::System));
        let presence = kind.presence().borrow().clone();
        let (reason, starting) = (state.describe(Instance::System), name == "Starting");
        assert_eq!(presence, Presence::Waiting { reason, starting });
        fake.status(&status());
        wait_for(&kind, is_up).await;
    }
    assert_eq!(seen.len(), 10, "{seen:#?}");
    fake.set("status", 403, "status access denied");
    fake.update("{}\n");
    let state = wait_for(&kind, |s| !is_up(s)).await;
    assert!(matches!(state, State::NoPermission { .. }), "{state:?}");
}

#[tokio::test]
async fn a_request_right_after_the_start_waits_for_it_and_for_nothing_else() {
    let fake = Fake::start();
    fake.set("status", 200, status().to_string());
    let limit = std::time::Duration::from_secs(20);
    let tailnet = crate::tailnet::Tailnet::Tailscaled(open(&fake));
    tailnet.wait_for_start(limit).await;
    assert!(matches!(*tailnet.presence().borrow(), Presence::Up { .. }));
    let mut stopped = status();
    stopped["BackendState"] = json!("Stopped");
    fake.status(&stopped);
    let mut presence = tailnet.presence();
    presence.wait_for(|now| matches!(now, Presence::Waiting { .. })).await.unwrap();
    // Else this takes an hour.
    tailnet.wait_for_start(std::time::Duration::from_secs(3600)).await;
}

#[tokio::test]
async fn any_unambiguous_name_resolves() {
    let (_fake, kind) = up().await;
    let id = |typed: &str| kind.resolve(typed).map(|it| it.node.unwrap().stable_id);
    for typed in ["beta", "BETA", "beta.tail.test", "beta.tail.test.:9101", "127.0.0.3"] {
        assert_eq!(id(typed).unwrap(), "2", "{typed}");
    }
    assert_eq!(id("shared").unwrap(), "4", "shared from another tailnet");
    assert_eq!(id("alpha").unwrap(), "1", "ourselves");
    let beta = kind.resolve("beta:9101").unwrap();
    assert_eq!(beta.addresses, ["127.0.0.3:9101".parse().unwrap()]);
    assert_eq!(beta.node.unwrap().owner.as_deref(), Some("al@example.com"));
    assert_eq!(beta.same_owner, Some(true));
    let gamma = kind.resolve("gamma").unwrap();
    assert_eq!(gamma.node.unwrap().name, "gamma.tail.test");
    assert_eq!(gamma.same_owner, Some(false));

    let hint = |typed: &str| id(typed).unwrap_err().hint().unwrap();
    assert_eq!(hint("bata"), "did you mean beta?");
    assert!(hint("qqqqqq").contains("tailscale status"), "{}", hint("qqqqqq"));
    assert!(hint("twice").contains("twice.other.test, twice.third.test"), "{}", hint("twice"));
    assert!(matches!(id("192.0.2.1"), Err(TailnetError::NotInTailnet { .. })));
    assert!(matches!(id("a b"), Err(TailnetError::Address { .. })));
}

#[tokio::test]
async fn a_node_with_tags_has_tags_for_an_owner() {
    let fake = Fake::start();
    let mut tagged = status();
    tagged["Peer"]["nodekey:b"]["Tags"] = json!(["tag:ci", "tag:eu"]);
    fake.set("status", 200, tagged.to_string());
    let kind = open(&fake);
    wait_for(&kind, is_up).await;
    let beta = kind.resolve("beta").unwrap();
    assert_eq!(beta.same_owner, Some(false));
    assert_eq!(beta.node.unwrap().owner.as_deref(), Some("tag:ci, tag:eu"));
}

fn whois(stable_id: &str) -> String {
    json!({
        "Node": {"StableID": stable_id, "Name": "beta.tail.test.", "Addresses": ["100.64.0.2/32"]},
        "UserProfile": {"ID": 7, "LoginName": "al@example.com"},
        "CapMap": {"example.com/cap/thrum": [{"projects": ["*"]}], "bare": null},
    })
    .to_string()
}

#[tokio::test]
async fn a_caller_that_tailscaled_does_not_identify_is_unknown() {
    let (fake, kind) = up().await;
    let remote = "100.64.0.2:5".parse().unwrap();
    let query = "whois?proto=tcp&addr=100.64.0.2%3A5";
    assert!(matches!(kind.whois(remote).await, Err(TailnetError::UnknownCaller { .. })), "404");
    fake.set(query, 200, whois("2"));
    let caller = kind.whois(remote).await.unwrap();
    assert_eq!(caller.describe(), "beta.tail.test (al@example.com)");
    assert_eq!((caller.address, caller.node.unwrap().stable_id.as_str()), (remote, "2"));
    for (code, body) in [(403, "no"), (500, "no"), (200, "no")] {
        fake.set(query, code, body);
        assert!(matches!(kind.whois(remote).await, Err(TailnetError::Whois { .. })), "{code}");
    }
    for nobody in ["{}", r#"{"Node":null}"#, r#"{"Node":{"StableID":""}}"#] {
        fake.set(query, 200, nobody);
        assert!(
            matches!(kind.whois(remote).await, Err(TailnetError::UnknownCaller { .. })),
            "{nobody}"
        );
    }
}

#[tokio::test]
async fn a_caller_through_userspace_mode_has_its_own_address() {
    let (fake, kind) = up().await;
    fake.set("whois?proto=tcp&addr=127.0.0.1%3A5", 200, whois("2"));
    let caller = kind.whois("127.0.0.1:5".parse().unwrap()).await.unwrap();
    assert_eq!(caller.address, "100.64.0.2:5".parse().unwrap());
    let unknown = kind.whois("127.0.0.1:6".parse().unwrap()).await;
    assert!(
        matches!(unknown, Err(TailnetError::UnknownCaller { .. })),
        "a program on this machine"
    );
}

#[tokio::test]
async fn a_grant_is_of_the_node_that_was_asked_for() {
    let (fake, kind) = up().await;
    let query = "whois?proto=tcp&addr=127.0.0.3%3A0";
    fake.set(query, 200, whois("2"));
    let grants = kind.grants("2", "example.com/cap/thrum").await.unwrap().unwrap();
    assert_eq!(grants, [json!({"projects": ["*"]})]);
    assert_eq!(kind.grants("2", "bare").await.unwrap(), Some(vec![]));
    assert_eq!(kind.grants("2", "missing").await.unwrap(), None);
    assert_eq!(kind.grants("77", "bare").await.unwrap(), None, "not in the tailnet");
    fake.set(query, 200, whois("99"));
    assert_eq!(kind.grants("2", "bare").await.unwrap(), None, "the address is another's now");
    fake.set(query, 500, "no");
    assert!(kind.grants("2", "bare").await.is_err());
}

#[tokio::test]
async fn connections_leave_from_our_address_and_only_into_the_tailnet() {
    let (_fake, kind) = up().await;
    let listener = TcpListener::bind("127.0.0.3:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(kind.connect(to), listener.accept());
    drop(ours.unwrap());
    assert!(Tailnet::Tailscaled(kind.clone()).watches_connections());
    assert_eq!(theirs.unwrap().1.ip(), "127.0.0.2".parse::<IpAddr>().unwrap());
    let outside = kind.connect(SocketAddr::new(LOOPBACK, to.port())).await.err().unwrap();
    assert_eq!(outside.kind(), io::ErrorKind::AddrNotAvailable);
}

#[tokio::test]
async fn userspace_mode_listens_on_loopback_and_dials_through_tailscaled() {
    let fake = Fake::start();
    let mut userspace = status();
    userspace["TUN"] = json!(false);
    fake.set("status", 200, userspace.to_string());
    let kind = open(&fake);
    let state = wait_for(&kind, is_up).await;
    assert_eq!(state, State::Up { addresses: vec![LOOPBACK], hostname: "alpha".to_owned() });
    assert!(!Tailnet::Tailscaled(kind.clone()).watches_connections());
    let mut stream = kind.connect("127.0.0.3:9100".parse().unwrap()).await.unwrap();
    let mut hello = [0; 20];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello from 127.0.0.3");
}

#[tokio::test]
async fn the_path_to_a_peer_is_known() {
    let (fake, kind) = up().await;
    let answer = r#"{"LatencySeconds":0.001,"DERPRegionCode":"fra"}"#;
    fake.set("ping?type=disco&ip=127.0.0.3", 200, answer);
    assert_eq!(kind.path("2").await.unwrap().round_trip, Duration::from_millis(1));
    assert_eq!(kind.path("3").await, None, "no answer");
    assert_eq!(kind.path("77").await, None, "unknown");
}

#[test]
fn only_a_status_that_was_read_makes_the_next_attempt_come_soon() {
    let next = follow::next_pause;
    let mut failures = 5;
    let first = next(&mut failures, true, false);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        pauses.push(next(&mut failures, false, false).as_millis());
    }
    assert!(pauses.is_sorted() && pauses[0] > first.as_millis(), "{pauses:?}");
    assert_eq!(pauses[9], 5000);
    // Where each attempt starts programs it comes more rarely.
    assert_eq!(next(&mut failures, false, true), Duration::from_secs(30));
}

#[tokio::test]
async fn the_nodes_whose_changes_are_hints_are_bounded_and_callers_are_not_among_them() {
    let (_fake, kind) = up().await;
    kind.grants("2", "thrum.dev/cap/pair").await.unwrap();
    assert!(kind.shared.located.lock().is_empty(), "it only called");
    kind.locate("2").unwrap();
    for gone in 0..2 * LOCATED_MAX {
        kind.locate(&format!("gone-{gone}")).unwrap();
    }
    let located = kind.shared.located.lock();
    assert!(located.len() <= LOCATED_MAX && located.contains("2"), "{}", located.len());
}
