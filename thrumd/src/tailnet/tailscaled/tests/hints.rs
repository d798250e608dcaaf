//! What is a hint that peers may answer no more, or again.

use futures_util::FutureExt as _;
use serde_json::json;

use super::{State, status, up, wait_for};
use crate::tailnet::hints::{Hint, Hints};
use crate::testing::{soon, until};

fn nodes<const N: usize>(ids: [&str; N]) -> Hint {
    Hint::Nodes(ids.map(str::to_owned).into())
}

#[tokio::test]
async fn a_located_peer_that_goes_or_comes_back_is_a_hint_and_other_changes_are_not() {
    let (fake, kind) = up().await;
    let hints = kind.hints();
    assert_eq!(soon(hints.next()).await, Hint::OurNetwork, "we came up");
    kind.locate("2").unwrap();
    let mut gone = status();
    gone["Peer"]["nodekey:b"]["Online"] = json!(false);
    gone["Peer"]["nodekey:g"]["Online"] = json!(false);
    fake.status(&gone);
    assert_eq!(soon(hints.next()).await, nodes(["2"]));
    assert!(!kind.netmap().get("2").unwrap().online);
    gone["Peer"]["nodekey:g"]["Online"] = json!(true);
    fake.status(&gone);
    until(async || kind.netmap().get("3").unwrap().online).await;
    assert_eq!(hints.next().now_or_never(), None, "nobody asked for that one");
    fake.status(&status());
    assert_eq!(soon(hints.next()).await, nodes(["2"]));
}

#[tokio::test]
async fn a_short_absence_that_status_never_shows_is_a_hint() {
    let (fake, kind) = up().await;
    let hints = kind.hints();
    soon(hints.next()).await;
    kind.locate("2").unwrap();
    fake.update("{\"SelfChange\":{\"ID\":1}}\n");
    assert_eq!(soon(hints.next()).await, Hint::OurNetwork);
    fake.update("{\"PeerChangedPatch\":[{\"NodeID\":22,\"Online\":true}]}\n");
    assert_eq!(soon(hints.next()).await, nodes(["2"]));
}

#[tokio::test]
async fn another_address_below_the_tunnel_is_a_hint_and_another_port_is_not() {
    let (fake, kind) = up().await;
    let hints = kind.hints();
    soon(hints.next()).await;
    let mut moved = status();
    moved["Self"]["Addrs"] = json!(["10.0.0.1:2", "10.0.0.1:3"]);
    moved["Self"]["DNSName"] = json!("omega.tail.test.");
    fake.status(&moved);
    wait_for(&kind, |s| matches!(s, State::Up { hostname, .. } if hostname == "omega")).await;
    assert_eq!(hints.next().now_or_never(), None);
    moved["Self"]["Addrs"] = json!(["10.0.0.1:3", "192.168.1.2:41641"]);
    fake.status(&moved);
    assert_eq!(soon(hints.next()).await, Hint::OurNetwork);
}

#[tokio::test]
async fn hints_that_nobody_took_are_one() {
    let hints = Hints::default();
    hints.give(nodes(["2"]));
    hints.give(nodes(["3", "2"]));
    assert_eq!(hints.next().now_or_never(), Some(nodes(["2", "3"])));
    assert_eq!(hints.next().now_or_never(), None);
    hints.give(nodes(["2"]));
    hints.give(Hint::OurNetwork);
    hints.give(nodes(["2"]));
    assert_eq!(hints.next().now_or_never(), Some(Hint::OurNetwork));
}
