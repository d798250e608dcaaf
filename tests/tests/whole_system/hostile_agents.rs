//! A paired machine that writes events of agents as it likes. What it says of agents of others counts for nothing, and what
//! is large or odd costs nobody anything.

use serde_json::{Value, json};
use tests::harness::{
    Daemon, LONG, Origin, SHORT, Written, converge, eventually, holds, pair, paired_daemons,
};
use thrum_api::event::EventRef;
use thrum_api::local::{
    AgentList, AgentListParams, AgentState, DeliveryState, GroupList, GroupListParams, InboxParams,
    MessageInbox, MessageSend, MessageSendParams, MessageStatus, MessageStatusParams,
    MessageThread, MessageThreadParams, PeerSync, PeerSyncParams,
};
use thrum_api::{EventHeader, EventId, Sequence};
use thrumd::ids;

use crate::forged::Hostile;

/// Events in a run, so that none has too many bytes.
const RUN_EVENTS: usize = 400;

/// A hostile machine that writes what it wants as events of its own.
struct Writer {
    hostile: Hostile,
    origin: Origin,
    log: Vec<Written>,
}

impl Writer {
    fn new() -> Self {
        let hostile = Hostile::new();
        let origin = Origin::of(hostile.fake.key(), ids::epoch());
        Self { hostile, origin, log: Vec::new() }
    }

    fn write(&mut self, kind: &str, body: &Value) -> EventRef {
        let text = self.origin.draft(&body.to_string()).replace("test.note", kind);
        let header: EventHeader = serde_json::from_str(&text).unwrap();
        self.log.push(self.origin.write(text));
        EventRef { event_id: header.event_id, origin_daemon: self.origin.id() }
    }

    /// Has a daemon that it is paired with take all of it.
    fn tell(&self, daemon: &Daemon) {
        let runs = self.log.chunks(RUN_EVENTS).map(|events| self.origin.run(events));
        self.hostile.says(runs.collect());
        daemon.ask::<PeerSync>(PeerSyncParams::default());
        let last = &self.log.last().unwrap().text;
        let last: EventHeader = serde_json::from_str(last).unwrap();
        eventually(LONG, || {
            holds(has_event(daemon, last.event_id), || "not pulled yet".to_owned())
        });
    }
}

fn has_event(daemon: &Daemon, id: EventId) -> bool {
    use thrum_api::local::{EventList, EventListParams};
    let params = EventListParams { newest: true, limit: Some(20), ..Default::default() };
    let listed = daemon.ask::<EventList>(params).events;
    listed.iter().any(|event| event.event.get().contains(&id.to_string()))
}

fn send(daemon: &Daemon, from: &str, to: &[&str], text: &str) -> EventRef {
    let event_id = daemon
        .ask::<MessageSend>(MessageSendParams {
            from: from.to_owned(),
            to: to.iter().map(|name| (*name).to_owned()).collect(),
            text: text.to_owned(),
            project: "test".to_owned(),
            ..MessageSendParams::default()
        })
        .event_id;
    EventRef { event_id, origin_daemon: daemon.id() }
}

fn texts(daemon: &Daemon, agent: &str) -> Vec<String> {
    let params = InboxParams {
        agent: agent.to_owned(),
        project: Some("test".to_owned()),
        limit: Some(1000),
        ..InboxParams::default()
    };
    daemon.ask::<MessageInbox>(params).messages.into_iter().map(|message| message.text).collect()
}

#[test]
fn receipts_tombstones_and_states_in_the_name_of_others_count_for_nothing() {
    let (a, b) = paired_daemons();
    b.thrum(&["send", "--as", "coder", "planner", "I am here"]).exits(0);
    converge(SHORT, &[&a, &b]);
    let message = send(&a, "planner", &["coder@server"], "the truth");
    converge(SHORT, &[&a, &b]);

    let mut writer = Writer::new();
    let now = "2026-11-24T16:00:00.123Z";
    writer.write(
        "message.receipts",
        &json!({
            "there": [{"origin_daemon": a.id(), "origin_epoch": a.health().epoch, "origin_sequence": 999}],
            "read": [{
                "agent": "coder", "project": "test", "route": "wait", "at": now,
                "origin_daemon": a.id(), "event_ids": [message.event_id],
            }],
        }),
    );
    writer.write("message.deleted", &json!({"from": "planner", "event_id": message.event_id}));
    let needs_you =
        json!({"id": "s", "state": "needs_you", "question": "your password?", "since": now});
    writer.write("agent.sessions", &json!({"agent": "coder", "sessions": [needs_you]}));
    writer.write("agent.removed", &json!({"agent": "coder"}));
    let reply = json!({
        "from": "coder", "to": ["planner"], "text": "FORGED", "reply_to": message, "thread": message,
    });
    writer.write("message.sent", &reply);
    writer.hostile.fake.joins(&a);
    writer.tell(&a);
    converge(LONG, &[&a, &b]);

    let status = a.ask::<MessageStatus>(MessageStatusParams { message, wait_ms: None });
    let states: Vec<_> = status.recipients.iter().map(|it| (it.daemon_id, it.state)).collect();
    assert_eq!(states, [(Some(b.id()), DeliveryState::There)], "{status:?}");
    assert_eq!(texts(&b, "coder"), ["the truth"]);
    let agents = b.ask::<AgentList>(AgentListParams::default()).agents;
    let coder = agents.iter().find(|agent| (&*agent.name, agent.daemon_id) == ("coder", b.id()));
    assert_eq!(coder.map(|agent| agent.state), Some(AgentState::Gone), "{agents:?}");
}

#[test]
fn odd_events_of_agents_are_skipped_and_the_others_count() {
    let (a, b) = paired_daemons();
    let mut writer = Writer::new();
    let sent = |to: Value| json!({"from": "spammer", "to": to, "text": "odd"});
    let odd = [
        ("message.sent", sent(json!(["@", "coder"]))),
        ("message.sent", sent(json!(["coder@laptop"]))),
        ("message.sent", sent(json!(["a\u{202e}b"]))),
        ("message.sent", sent(json!(vec!["coder"; 65]))),
        (
            "message.sent",
            json!({"from": "spammer", "to": ["coder"], "text": "x".repeat(128 * 1024 + 1)}),
        ),
        ("message.sent", json!({"from": "spammer", "to": ["coder"], "text": "t", "reply_to": "x"})),
        ("message.deleted", json!({"from": "a\nb", "event_id": "x"})),
        ("message.receipts", json!({"read": "all"})),
        ("agent.joined", json!({"agent": "a\u{1b}[2J"})),
        ("agent.removed", json!([])),
        ("agent.sessions", json!({"agent": "x", "sessions": [{"id": 1}]})),
        ("group.changed", json!({"group": "@g", "add": ["a"]})),
        ("group.changed", json!({"group": "g", "add": ["@h"]})),
    ];
    for (kind, body) in &odd {
        writer.write(kind, body);
    }
    writer.write("message.sent", &json!({"from": "spammer", "to": ["coder"], "text": "fine"}));
    writer.hostile.fake.joins(&a);
    writer.tell(&a);
    converge(LONG, &[&a, &b]);
    for daemon in [&a, &b] {
        assert_eq!(texts(daemon, "coder"), ["fine"]);
        let groups = GroupListParams { project: "test".to_owned(), group: None };
        assert_eq!(daemon.ask::<GroupList>(groups).groups, []);
    }
}

#[test]
fn replies_in_a_circle_and_a_thread_of_ten_thousand_can_be_read() {
    const REPLIES: usize = 10_000;
    let (a, b) = paired_daemons();
    let mut writer = Writer::new();
    // Each answers the other one, and one answers itself.
    let ids = [ids::event(), ids::event()];
    let origin_daemon = writer.hostile.fake.id();
    let [first, second] = ids.map(|event_id| EventRef { event_id, origin_daemon });
    for (own, other) in [(first, second), (second, first)] {
        let body = json!({
            "from": "spammer", "to": ["coder"], "text": "circle", "reply_to": other, "thread": other,
        });
        let text = writer.origin.draft(&body.to_string()).replace("test.note", "message.sent");
        let header: EventHeader = serde_json::from_str(&text).unwrap();
        // The id is a member of the header: the body names only the other one.
        let text = text.replacen(&header.event_id.to_string(), &own.event_id.to_string(), 1);
        writer.log.push(writer.origin.write(text));
    }
    let root =
        writer.write("message.sent", &json!({"from": "spammer", "to": ["coder"], "text": "root"}));
    for number in 0..REPLIES {
        let text = format!("reply {number}");
        let body = json!({
            "from": "spammer", "to": ["other"], "text": text, "reply_to": root, "thread": root,
        });
        writer.write("message.sent", &body);
    }
    writer.hostile.fake.joins(&a);
    writer.tell(&a);
    converge(LONG, &[&a, &b]);
    let thread = |message, after| {
        let agent = "coder".to_owned();
        b.ask::<MessageThread>(MessageThreadParams { agent, message, after, limit: Some(1000) })
    };
    for message in [first, second] {
        let shown = thread(message, None);
        assert!((1..=2).contains(&shown.messages.len()), "{shown:?}");
    }
    let (mut read, mut after) = (Vec::new(), None::<Sequence>);
    loop {
        let page = thread(root, after);
        after = page.messages.last().map(|message| message.sequence);
        read.extend(page.messages.into_iter().map(|message| message.text));
        if page.left == 0 {
            break;
        }
    }
    assert_eq!(read.len(), REPLIES + 1);
    assert!(read[0] == "root" && read[REPLIES] == format!("reply {}", REPLIES - 1));
}

#[test]
fn a_group_of_five_thousand_is_told_once_each() {
    let (a, b) = paired_daemons();
    b.thrum(&["send", "--as", "coder", "planner", "I am here"]).exits(0);
    converge(SHORT, &[&a, &b]);
    let mut writer = Writer::new();
    let members: Vec<_> = (0..5000).map(|number| format!("ghost{number}")).collect();
    for page in members.chunks(1000) {
        writer.write("group.changed", &json!({"group": "all-of-us", "add": page}));
    }
    writer.write("group.changed", &json!({"group": "all-of-us", "add": ["coder", "planner"]}));
    let to = json!({"from": "planner", "to": ["@all-of-us", "coder"], "text": "hello"});
    writer.write("message.sent", &to);
    writer.hostile.fake.joins(&a);
    writer.tell(&a);
    converge(LONG, &[&a, &b]);
    let groups =
        GroupListParams { project: "test".to_owned(), group: Some("all-of-us".to_owned()) };
    assert_eq!(b.ask::<GroupList>(groups).groups[0].members.len(), 5002);
    assert_eq!(texts(&b, "coder"), ["hello"], "once, although it is named twice");
    assert_eq!(texts(&a, "coder"), ["hello"], "the bare name is for every machine");
    assert_eq!(texts(&b, "planner"), ["I am here"], "no agent here");
}

#[test]
fn one_name_on_two_machines_is_two_agents() {
    let (a, b) = paired_daemons();
    std::thread::scope(|scope| {
        for daemon in [&a, &b] {
            scope.spawn(move || send(daemon, "coder", &["planner"], "I am here"));
        }
    });
    converge(SHORT, &[&a, &b]);
    for daemon in [&a, &b] {
        let agents = daemon.ask::<AgentList>(AgentListParams::default()).agents;
        let mut of: Vec<_> =
            agents.iter().filter(|it| it.name == "coder").map(|it| it.daemon_id).collect();
        of.sort_unstable();
        let mut both = vec![a.id(), b.id()];
        both.sort_unstable();
        assert_eq!(of, both);
    }
    send(&a, "planner", &["coder@server"], "for one");
    send(&a, "planner", &["coder"], "for both");
    converge(SHORT, &[&a, &b]);
    assert_eq!(texts(&a, "coder"), ["for both"]);
    assert_eq!(texts(&b, "coder"), ["for one", "for both"]);
    let third = Daemon::start("third");
    pair(&b, &third);
    converge(SHORT, &[&a, &b, &third]);
    let seen = third.ask::<AgentList>(AgentListParams::default()).agents;
    let laptop = seen.iter().find(|it| it.name == "coder" && it.daemon_id == a.id());
    let name = laptop.and_then(|agent| agent.machine.as_deref());
    assert_eq!(name, Some("laptop"), "beyond a relay it is known by the name that it tells");
}
