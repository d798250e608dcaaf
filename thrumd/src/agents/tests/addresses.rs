//! Addresses of messages: who gets them, and what people may type.

use std::collections::BTreeSet;
use std::time::Duration;

use thrum_api::limits::MESSAGE_TEXT_MAX_BYTES;
use thrum_api::local::{AgentRegisterParams, AgentRemoveParams, MessageSendParams};
use thrum_api::{ErrorCode, Timestamp};

use super::home::{Home, message_params, waiter, within};
use super::*;

fn removed(sequence: u64, origin: DaemonId, agent: &str) -> SequencedEvent {
    event(sequence, origin, Some(PROJECT), "agent.removed", &json!({ "agent": agent }))
}

#[test]
fn an_address_with_a_daemon_is_for_that_one_alone() {
    let mut views = Views::new();
    let here_and_twice = format!("coder@{}", here());
    let events = [
        message_to(1, there(), "a", &[&here_and_twice, "coder"]),
        message_to(2, there(), "a", &[&format!("coder@{}", there())]),
        message_to(3, here(), "coder", &[&here_and_twice]),
        // A message from a name of another machine's agent is simply of that name on its daemon.
        message_to(4, there(), "coder", &["coder"]),
    ];
    views.digest(&events, start());
    assert_eq!(views.places("coder").0, [1, 3, 4]);
    let inbox = views.inbox(&query("coder", Some(PROJECT)));
    assert_eq!(inbox.messages[0].to, [here_and_twice, "coder".to_owned()]);
    let agents = views.agents_named(PROJECT, "coder").unwrap();
    let daemons: BTreeSet<DaemonId> = agents.iter().map(|agent| agent.daemon_id).collect();
    assert_eq!(daemons, BTreeSet::from([here(), there()]));
}

#[test]
fn odd_events_of_peers_are_skipped() {
    let mut views = Views::new();
    let to = |n, to: serde_json::Value| {
        let body = json!({ "from": "a", "to": to, "text": "t" });
        event(n, there(), Some(PROJECT), "message.sent", &body)
    };
    let message = |n, body| event(n, there(), Some(PROJECT), "message.sent", &body);
    let large = "x".repeat(MESSAGE_TEXT_MAX_BYTES + 1);
    let about = |n, about: &str| {
        let body = json!({ "agent": "a", "about": about });
        event(n, there(), Some(PROJECT), "agent.joined", &body)
    };
    let machine = |n, name: &str| {
        let body = json!({ "agent": "a", "machine": name });
        event(n, there(), Some(PROJECT), "agent.joined", &body)
    };
    let group = |n, body| event(n, there(), Some(PROJECT), "group.changed", &body);
    let odd = [
        to(1, json!(["x", "x@laptop"])),
        to(2, json!(["x", "@"])),
        to(3, json!(["x", "@@x"])),
        to(4, json!(["x", "a b@d_1"])),
        to(5, json!(["x", "x\u{202e}"])),
        message(6, json!({ "from": "a", "to": ["x"], "text": large })),
        message(7, json!({ "from": "a", "to": ["x"], "text": "t", "reply_to": "id" })),
        message(8, json!({ "from": "a", "to": ["x"], "text": "t", "urgent": "very" })),
        about(9, &"x".repeat(501)),
        about(10, "a\u{1b}[2J"),
        machine(11, "lap\ntop"),
        group(12, json!({ "group": "g", "add": ["@h"] })),
        group(13, json!({ "group": "g h", "add": ["x"] })),
        group(14, json!({ "group": "@g", "add": ["x"] })),
        event(15, there(), Some(PROJECT), "agent.removed", &json!({ "agent": "a\nb" })),
        event(16, there(), Some(PROJECT), "message.deleted", &json!({ "from": "a" })),
    ];
    let count = odd.len();
    views.digest(&odd, start());
    assert_eq!(usize::try_from(undigested(&views)).unwrap(), count);
    assert_eq!(views.places("x").0, Vec::<u64>::new());
    assert_eq!(views.agents(None, Timestamp::from_millis(0), true).unwrap(), []);
    assert_eq!(views.groups(PROJECT, None).unwrap(), []);
}

#[test]
fn a_removed_agent_keeps_what_it_has_and_gets_no_messages_to_all_until_it_is_back() {
    let mut views = Views::new();
    let events = [
        joined(1, here(), "coder"),
        message_to_all(2, there(), "a"),
        message_to_all(3, there(), "a"),
        removed(4, here(), "coder"),
        message_to_all(5, there(), "a"),
        message_to(6, there(), "a", &["coder"]),
        // That of another machine is another agent.
        removed(7, there(), "coder"),
    ];
    let cursor = views.digest(&events[..3], start());
    views.mark_read("coder", &[id(2)]);
    let cursor = views.digest(&events[3..], cursor);
    assert_eq!(views.places("coder"), (vec![2, 3, 6], vec![3, 6]));
    assert_eq!(views.last_seen(PROJECT, "coder").unwrap(), None);
    let listed = |views: &Views, all| -> Vec<(String, bool)> {
        let agents = views.agents(None, Timestamp::from_millis(0), all).unwrap();
        let own = agents.into_iter().filter(|agent| agent.daemon_id == here());
        own.map(|agent| (agent.name, agent.removed)).collect()
    };
    assert_eq!(
        (listed(&views, false), listed(&views, true)),
        (vec![], vec![("coder".to_owned(), true)])
    );
    let again = [message_to(8, here(), "coder", &["b"]), message_to_all(9, there(), "a")];
    views.digest(&again, cursor);
    assert_eq!(views.places("coder"), (vec![2, 3, 6, 9], vec![3, 6, 9]));
    assert_eq!(listed(&views, false), [("coder".to_owned(), false)]);
    views.mark_read("coder", &[id(3), id(9)]);
    assert_eq!(views.places("coder").1, [6]);
}

#[test]
fn a_removal_that_a_peer_brings_back_is_of_no_agent_that_is_here_now() {
    let mut views = Views::new();
    let back = [removed(1, here(), "coder")];
    views.write(&back, |_| false);
    let cursor = views.digest(&[joined(2, here(), "coder")], start());
    let late = [removed(3, here(), "coder")];
    views.write(&late, |_| false);
    views.digest(&late, cursor);
    assert!(views.last_seen(PROJECT, "coder").unwrap().is_some());
}

#[tokio::test]
async fn a_mistyped_name_is_refused_and_an_unlike_one_waits() {
    let (_directory, home) = Home::new();
    home.say("reviewer", &["reviewer"], "one").await;
    home.say("worker-1", &["reviewer"], "two").await;
    let sent = async |to: &str, anyway| {
        home.is_digested().await;
        let params = MessageSendParams { anyway, ..message_params("reviewer", &[to], "t") };
        within(home.agents.send(params)).await
    };
    let error = sent("reviwer", false).await.unwrap_err().to_rpc();
    assert_eq!(error.code, ErrorCode::NOT_FOUND, "{error}");
    assert_eq!(error.member("similar").unwrap(), &json!(["reviewer"]));
    assert!(error.member("hint").unwrap().as_str().unwrap().contains("--anyway"));
    assert_eq!(sent("reviwer", true).await.unwrap().unknown, ["reviwer"]);
    assert_eq!(sent("designer", false).await.unwrap().unknown, ["designer"]);
    // An @ means what is there: a group or an agent.
    let error = sent("@designers", false).await.unwrap_err().to_rpc();
    assert_eq!(error.code, ErrorCode::NOT_FOUND, "{error}");
    assert_eq!(sent("@designers", true).await.unwrap().unknown, ["designers"]);
    assert_eq!(sent("@worker-1", false).await.unwrap().unknown, Vec::<String>::new());
    // Numbered agents are told apart by their numbers alone.
    assert_eq!(sent("worker-2", false).await.unwrap().unknown, ["worker-2"]);
    // A name that a peer has used is known; on this machine it isn't.
    home.apply(vec![joined(1, there(), "tester")]).await;
    assert_eq!(sent("tester", false).await.unwrap().unknown, Vec::<String>::new());
    let of = |name: &str, daemon| format!("{name}@{daemon}");
    assert_eq!(sent(&of("tester", there()), false).await.unwrap().unknown, Vec::<String>::new());
    assert_eq!(sent(&of("tester", here()), false).await.unwrap().unknown, [of("tester", here())]);
    let error = sent(&of("testr", there()), false).await.unwrap_err().to_rpc();
    assert_eq!(error.member("similar").unwrap(), &json!([of("tester", there())]));
    home.close().await;
}

fn registered(agent: &str, about: Option<&str>) -> AgentRegisterParams {
    AgentRegisterParams {
        agent: agent.to_owned(),
        project: PROJECT.to_owned(),
        about: about.map(str::to_owned),
    }
}

#[tokio::test]
async fn an_agent_is_announced_once_and_again_when_what_it_is_for_has_changed() {
    let (_directory, home) = Home::new();
    let register = |about| within(home.agents.register(registered("coder", about)));
    home.apply(vec![joined(1, there(), "coder")]).await;
    let at_once = futures_util::future::join_all((0..4).map(|_| register(None))).await;
    for registered in at_once {
        let (agent, others) = registered.unwrap();
        assert_eq!((agent.daemon_id, agent.about, others), (here(), None, vec![there()]));
    }
    for (about, is) in [
        (Some(" writes code "), Some("writes code")),
        (None, Some("writes code")),
        (Some("writes code"), Some("writes code")),
        (Some(""), None),
    ] {
        assert_eq!(register(about).await.unwrap().0.about.as_deref(), is);
    }
    // One of the peer; here once, and twice with another text.
    assert_eq!(home.joined().await.len(), 4);
    let long = "x".repeat(501);
    for (about, words) in [(long.as_str(), "501 characters"), ("a\u{200b}", "200b")] {
        let error = register(Some(about)).await.unwrap_err().to_rpc();
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
        assert!(error.message.contains(words), "{error}");
    }
    assert_eq!(home.agents.told_names(), [(here(), "here".to_owned())]);
    home.close().await;
}

#[tokio::test]
async fn a_removed_agent_is_back_with_its_next_event() {
    let (_directory, home) = Home::new();
    let params = || AgentRemoveParams { agent: "coder".to_owned(), project: PROJECT.to_owned() };
    let none = within(home.agents.remove(params())).await.unwrap_err().to_rpc();
    assert_eq!(none.code, ErrorCode::NOT_FOUND);
    home.say("coder", &["coder"], "one").await;
    within(home.agents.remove(params())).await.unwrap();
    assert_eq!((home.listed(false).await.len(), home.listed(true).await.len()), (0, 1));
    assert!(within(home.agents.remove(params())).await.is_err(), "it is removed");
    home.is_digested().await;
    let sent = home.say("planner", &["coder"], "two").await;
    assert_eq!(sent.unknown, ["coder"]);
    assert_eq!(home.inbox("coder").await, ["one*", "two*"]);
    within(home.agents.wait(waiter("coder", Duration::ZERO))).await.unwrap();
    assert_eq!(home.listed(false).await, ["coder", "planner"]);
    assert_eq!(home.joined().await, ["coder", "planner", "coder"]);
    home.close().await;
}
