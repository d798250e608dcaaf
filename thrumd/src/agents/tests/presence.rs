//! What daemons tell of their agents' sessions, in the views.

use thrum_api::Timestamp;
use thrum_api::local::{Agent, AgentState};

use super::super::sessions::live::AgentKey;
use super::*;

fn sessions(sequence: u64, agent: &str, hlc: &str, sessions: &serde_json::Value) -> SequencedEvent {
    let body = json!({ "agent": agent, "sessions": sessions });
    let mut event = event(sequence, there(), Some(PROJECT), "agent.sessions", &body);
    let json = event.event.get().replace("0192f3a1b2c3-0004", hlc);
    event.event = serde_json::from_str(&json).unwrap();
    event
}

fn working(id: &str) -> serde_json::Value {
    json!([{ "id": id, "state": "working", "since": "2020-06-24T15:59:00Z" }])
}

/// The agents with their states and the ids of their sessions.
fn listed(views: &Views) -> Vec<(String, AgentState, String)> {
    let mut agents = views.agents(Some(PROJECT), Timestamp::from_millis(i64::MIN), false).unwrap();
    views.add_presence(&mut agents, Some(PROJECT), &Default::default()).unwrap();
    let ids = |agent: &Agent| {
        let ids: Vec<_> = agent.sessions.iter().map(|session| session.id.as_str()).collect();
        ids.join(" ")
    };
    agents.iter().map(|agent| (agent.name.clone(), agent.state, ids(agent))).collect()
}

#[test]
fn the_last_event_by_its_clock_counts() {
    let mut views = Views::new();
    let events = [
        sessions(1, "coder", "0192f3a1b2c4-0000", &working("new")),
        sessions(2, "coder", "0192f3a1b2c3-0000", &working("old")),
        sessions(3, "qa", "0192f3a1b2c3-0000", &working("old")),
        sessions(4, "qa", "0192f3a1b2c3-0001", &json!([])),
    ];
    views.digest(&events, start());
    let coder = ("coder".to_owned(), AgentState::Working, "new".to_owned());
    let qa = ("qa".to_owned(), AgentState::Gone, String::new());
    assert_eq!(listed(&views), [coder, qa]);
    assert_eq!(undigested(&views), 0);
}

#[test]
fn an_agent_does_what_its_most_urgent_session_does_since_the_first_of_these() {
    let mut views = Views::new();
    let at = |minute: u8| format!("2020-06-24T15:{minute:02}:00Z");
    let told = json!([
        { "id": "a", "state": "working", "since": at(3) },
        { "id": "b", "state": "idle", "since": at(1) },
        { "id": "c", "state": "working", "since": at(2), "task": "\u{1b}[2J\u{202e}\n" },
        { "id": "d", "state": "thinking", "since": at(0) },
    ]);
    views.digest(&[sessions(1, "coder", "0192f3a1b2c4-0000", &told)], start());
    let mut agents = views.agents(None, Timestamp::from_millis(0), false).unwrap();
    views.add_presence(&mut agents, None, &Default::default()).unwrap();
    assert_eq!(agents[0].state, AgentState::Working);
    assert_eq!(agents[0].since, at(2).parse().unwrap());
    assert_eq!(agents[0].sessions[2].task.as_deref(), Some("\u{1b}[2J\u{202e}\n"));
}

#[test]
fn what_is_told_without_end_is_skipped() {
    let mut views = Views::new();
    let many = |count| json!((0..count).map(|_| working("s")[0].clone()).collect::<Vec<_>>());
    let long = |length| json!([{ "id": "s", "state": "idle", "since": "2020-06-24T15:59:00Z", "task": "é".repeat(length) }]);
    let hlc = "0192f3a1b2c4-0000";
    let events = [
        sessions(1, "coder", hlc, &many(129)),
        sessions(2, "coder", hlc, &long(4097)),
        sessions(3, "coder", hlc, &json!([{ "id": "s" }])),
        sessions(4, "coder", hlc, &json!("none")),
        sessions(5, "not a name", hlc, &working("s")),
    ];
    views.digest(&events, start());
    assert_eq!(undigested(&views), 5);
    assert_eq!(listed(&views), []);
    views.digest(
        &[sessions(6, "coder", hlc, &many(64)), sessions(7, "qa", hlc, &long(4096))],
        start(),
    );
    assert_eq!(listed(&views).len(), 2);
}

#[test]
fn what_this_daemon_told_is_found_again() {
    let mut views = Views::new();
    let body = json!({ "agent": "coder", "sessions": working("s") });
    let events = [
        event(1, here(), Some(PROJECT), "agent.sessions", &body),
        sessions(2, "coder", "0192f3a1b2c4-0000", &json!([])),
    ];
    views.digest(&events, start());
    let told = views.told_here().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].key, AgentKey { project: PROJECT.to_owned(), agent: "coder".to_owned() });
    assert_eq!(told[0].sessions[0].id, "s");
}

#[test]
fn an_agent_that_was_removed_comes_back_with_a_session_and_not_with_the_end_of_one() {
    let mut views = Views::new();
    let hlc = |number: u8| format!("0192f3a1b2c4-00{number:02}");
    let removed = event(2, there(), Some(PROJECT), "agent.removed", &json!({ "agent": "coder" }));
    let events = [
        sessions(1, "coder", &hlc(1), &working("s")),
        removed,
        sessions(3, "coder", &hlc(3), &json!([])),
    ];
    views.digest(&events, start());
    assert_eq!(listed(&views), []);
    views.digest(&[sessions(4, "coder", &hlc(4), &working("s"))], start());
    assert_eq!(listed(&views)[0].1, AgentState::Working);
}

#[test]
fn an_agent_with_a_session_is_listed_however_long_ago_its_last_event_is() {
    let mut views = Views::new();
    let events = [
        sessions(1, "coder", "0192f3a1b2c4-0000", &working("long")),
        sessions(2, "qa", "0192f3a1b2c3-0000", &working("short")),
        sessions(3, "qa", "0192f3a1b2c3-0001", &json!([])),
        joined(4, there(), "planner"),
    ];
    views.digest(&events, start());
    let later = Timestamp::from_millis(i64::MAX);
    for project in [Some(PROJECT), None] {
        let agents = views.agents(project, later, false).unwrap();
        let names: Vec<_> = agents.iter().map(|agent| agent.name.as_str()).collect();
        assert_eq!(names, ["coder"]);
    }
}
