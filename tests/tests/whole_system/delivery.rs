//! How far messages get over three machines, of which the outer ones know each other through a relay alone.

use tests::harness::{Daemon, LONG, SHORT, eventually, holds, in_sync, pair_line};
use thrum_api::DaemonId;
use thrum_api::event::{EventRef, Route};
use thrum_api::local::{
    AgentRegister, AgentRegisterParams, AgentState, DeliveryState, InboxParams, MarkReadParams,
    MessageInbox, MessageMarkRead, MessageSend, MessageSendParams, MessageSendResult, MessageSent,
    MessageSentParams, MessageStatus, MessageStatusParams, MessageStatusResult, Obstacle,
    RecipientStatus,
};

const PROJECT: &str = "github.com/acme/app";

fn register(daemon: &Daemon, agent: &str) {
    let (agent, project) = (agent.to_owned(), PROJECT.to_owned());
    daemon.ask::<AgentRegister>(AgentRegisterParams { agent, project, about: None });
}

fn send(daemon: &Daemon, from: &str, to: &str, reply_to: Option<EventRef>) -> MessageSendResult {
    daemon.ask::<MessageSend>(MessageSendParams {
        from: from.to_owned(),
        to: vec![to.to_owned()],
        text: "look at the lock order".to_owned(),
        project: PROJECT.to_owned(),
        reply_to,
        ..MessageSendParams::default()
    })
}

fn status(daemon: &Daemon, message: EventRef, wait_ms: Option<u64>) -> MessageStatusResult {
    daemon.ask::<MessageStatus>(MessageStatusParams { message, wait_ms })
}

/// Waits until the only recipient of a message has that state.
fn reaches(daemon: &Daemon, message: EventRef, state: DeliveryState) -> RecipientStatus {
    eventually(LONG, || {
        let status = status(daemon, message, None);
        let is_so = status.recipients.len() == 1 && status.recipients[0].state == state;
        holds(is_so, || format!("{status:?}")).map(|()| status.recipients[0].clone())
    })
}

/// The unread messages of an agent, once there are any, and marks them read.
fn reads(daemon: &Daemon, agent: &str, route: Route) -> EventRef {
    let asked = InboxParams {
        agent: agent.to_owned(),
        project: Some(PROJECT.to_owned()),
        unread_only: true,
        ..InboxParams::default()
    };
    let message = eventually(LONG, || {
        let inbox = daemon.ask::<MessageInbox>(asked.clone());
        inbox.messages.first().cloned().ok_or_else(|| format!("{inbox:?}"))
    });
    daemon.ask::<MessageMarkRead>(MarkReadParams {
        agent: agent.to_owned(),
        messages: vec![(&message).into()],
        route: Some(route),
        session: Some("session-1".to_owned()),
    });
    message.event()
}

fn of(daemon: &Daemon, sent: &MessageSendResult) -> EventRef {
    EventRef { event_id: sent.event_id, origin_daemon: daemon.id() }
}

/// How many events of this type a daemon has written.
fn written(daemon: &Daemon, event_type: &str, by: DaemonId) -> usize {
    let events = daemon.events();
    let parsed = events.iter().map(|it| serde_json::from_str(it.event.get()).unwrap());
    let of_type = |event: &thrum_api::Event| {
        event.header.event_type == event_type && event.header.origin_daemon == by
    };
    parsed.filter(of_type).count()
}

#[test]
fn behind_a_relay_a_message_is_stored_there_read_and_answered() {
    let (a, b, c) = (Daemon::start("a"), Daemon::start("b"), Daemon::start("c"));
    pair_line(&[&a, &b, &c]);
    register(&a, "planner");
    register(&c, "coder");
    in_sync(&[&a, &b, &c]);
    // Who sends waits only a moment for the views.
    eventually(SHORT, || a.has_agent("coder"));

    let sent = send(&a, "planner", "coder", None);
    let message = of(&a, &sent);
    let [first] = &sent.recipients[..] else { panic!("{sent:?}") };
    assert_eq!((first.state, first.obstacle), (DeliveryState::Stored, Some(Obstacle::Relayed)));
    assert_eq!((first.daemon_id, first.machine.as_deref()), (Some(c.id()), Some("c")));

    let there = reaches(&a, message, DeliveryState::There);
    assert_eq!((there.obstacle, there.live), (Some(Obstacle::NoSession), Some(AgentState::Gone)));

    assert_eq!(reads(&c, "coder", Route::Wait), message);
    let read = reaches(&a, message, DeliveryState::Read);
    assert_eq!((read.route, read.session.as_deref()), (Some(Route::Wait), Some("session-1")));
    assert!(read.read_at.is_some() && read.obstacle.is_none(), "{read:?}");

    let answer = send(&c, "coder", "planner", Some(message));
    let answered = reaches(&a, message, DeliveryState::Answered);
    assert_eq!(answered.answer, Some(of(&c, &answer)));
    assert_eq!((answered.route, answered.read_at), (read.route, read.read_at));

    // What was answered here is read here: the other machine is told, and nobody writes of that again.
    reads(&a, "planner", Route::Inbox);
    reaches(&c, of(&c, &answer), DeliveryState::Read);
    in_sync(&[&a, &b, &c]);
    let receipts = [&a, &b, &c].map(|daemon| written(&a, "message.receipts", daemon.id()));
    assert_eq!((receipts[1], receipts[2]), (0, 2), "one that it is there, one that it was read");
    assert!((1..=2).contains(&receipts[0]), "both may be in one: {receipts:?}");
    let listed = a.ask::<MessageSent>(MessageSentParams {
        agent: "planner".to_owned(),
        project: PROJECT.to_owned(),
        before: None,
        limit: None,
    });
    assert_eq!((listed.messages.len(), listed.messages[0].answered), (1, 1));
}

#[test]
fn a_message_to_a_peer_is_there_when_the_peer_says_so_and_to_one_that_is_away_when_it_is_back() {
    let (a, mut b) = tests::harness::paired_daemons();
    register(&a, "planner");
    register(&b, "coder");
    in_sync(&[&a, &b]);
    let first = send(&a, "planner", "coder", None);
    let waited = status(&a, of(&a, &first), Some(60_000));
    assert_eq!(waited.recipients[0].state, DeliveryState::There, "{waited:?}");
    assert_eq!(written(&a, "message.receipts", b.id()), 0, "a peer needs no receipt for that");

    b.kill();
    eventually(SHORT, || {
        let status = status(&a, of(&a, &first), None);
        let obstacle = status.recipients[0].obstacle;
        holds(obstacle == Some(Obstacle::Unreachable), || format!("{status:?}"))
    });
    let second = send(&a, "planner", "coder", None);
    // Nobody waits for a machine that can't be reached.
    let away = status(&a, of(&a, &second), Some(10_000));
    let recipient = &away.recipients[0];
    assert_eq!(
        (recipient.state, recipient.obstacle),
        (DeliveryState::Stored, Some(Obstacle::Unreachable))
    );
    assert_eq!((recipient.behind, recipient.live), (Some(1), Some(AgentState::Unreachable)));
    assert!(recipient.since.is_some(), "{recipient:?}");

    b.start_again();
    eventually(LONG, || {
        let status = status(&a, of(&a, &second), Some(10_000));
        let state = status.recipients[0].state;
        holds(state == DeliveryState::There, || format!("{status:?}"))
    });
}
