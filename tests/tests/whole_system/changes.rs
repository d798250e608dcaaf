//! Who follows `GET /changes` at two paired daemons is told what to ask anew.

use rustix::process::Signal;
use tests::harness::{ChangeReader, Daemon, LONG, converge, paired_daemons, process};
use thrum_api::Sequence;
use thrum_api::event::{EventRef, Route};
use thrum_api::local::{
    AgentList, AgentListParams, AgentRegister, AgentRegisterParams, AgentState, Change,
    MarkReadParams, MessageDeliveries, MessageDeliveriesParams, MessageDelivery, MessageList,
    MessageListParams, MessageListResult, MessageMarkRead, MessageSend, MessageSendParams,
    PeerState, SessionStart, SessionStartParams,
};

const PROJECT: &str = "github.com/acme/app";

fn register(daemon: &Daemon, agent: &str) {
    let (agent, project) = (agent.to_owned(), PROJECT.to_owned());
    daemon.ask::<AgentRegister>(AgentRegisterParams { agent, project, about: None });
}

fn send(daemon: &Daemon, from: &str, to: &str, text: &str) -> EventRef {
    let sent = daemon.ask::<MessageSend>(MessageSendParams {
        from: from.to_owned(),
        to: vec![to.to_owned()],
        text: text.to_owned(),
        project: PROJECT.to_owned(),
        ..MessageSendParams::default()
    });
    EventRef { event_id: sent.event_id, origin_daemon: daemon.id() }
}

fn new_messages(daemon: &Daemon, after: Sequence) -> MessageListResult {
    let params = MessageListParams { after: Some(after), ..MessageListParams::default() };
    daemon.ask::<MessageList>(params)
}

/// How far a message got.
fn delivery(daemon: &Daemon, message: EventRef) -> MessageDelivery {
    let params = MessageDeliveriesParams { agent: None, messages: vec![message] };
    daemon.ask::<MessageDeliveries>(params).deliveries.pop().expect("it is here")
}

fn start_session(daemon: &Daemon, agent: &str) {
    daemon.ask::<SessionStart>(SessionStartParams {
        agent: agent.to_owned(),
        project: PROJECT.to_owned(),
        session: Some("s1".to_owned()),
        pid: Some(std::process::id()),
        ..SessionStartParams::default()
    });
}

/// Whether the coder is in this state, as a machine tells it.
fn state(daemon: &Daemon, wanted: AgentState) -> Result<(), String> {
    let agents = daemon.ask::<AgentList>(AgentListParams::default()).agents;
    let coder = agents.into_iter().find(|agent| agent.name == "coder");
    is(coder.as_ref().is_some_and(|coder| coder.state == wanted), &coder)
}

fn is(done: bool, what: &impl std::fmt::Debug) -> Result<(), String> {
    if done { Ok(()) } else { Err(format!("{what:?}")) }
}

#[test]
fn what_happens_on_one_machine_is_told_on_the_other() {
    let (laptop, mut server) = paired_daemons();
    let laptop = &laptop;
    register(laptop, "planner");
    register(&server, "coder");
    converge(LONG, &[laptop, &server]);
    let (mut at_laptop, mut at_server) = (ChangeReader::of(laptop), ChangeReader::of(&server));
    let before = new_messages(&server, Sequence::ZERO);

    let message = send(laptop, "planner", "coder", "the parser is yours");
    let moved = |after: Sequence| move |change: &Change| change.read_seq > after;
    let new = at_server.until(moved(before.read_seq), || {
        let new = new_messages(&server, before.read_seq);
        is(new.messages.len() == 1, &new).map(|()| new)
    });
    let listed = &new.messages[0];
    assert!(listed.message.event() == message && listed.delivery.here_only, "{listed:?}");
    assert_eq!((listed.delivery.total, listed.delivery.there, listed.delivery.read), (1, 1, 0));
    assert_eq!(new.epoch, before.epoch);

    let of_deliveries = |change: &Change| change.deliveries;
    at_laptop.until(of_deliveries, || {
        let now = delivery(laptop, message).delivery;
        is((now.total, now.there, now.read) == (1, 1, 0), &now)
    });
    server.ask::<MessageMarkRead>(MarkReadParams {
        agent: "coder".to_owned(),
        messages: vec![(&listed.message).into()],
        route: Some(Route::Page),
        session: None,
    });
    at_server.until(of_deliveries, || {
        let now = delivery(&server, message).delivery;
        is(now.read == 1, &now)
    });
    at_laptop.until(of_deliveries, || {
        let now = delivery(laptop, message).delivery;
        let route = now.least.as_ref().and_then(|least| least.route);
        is((now.read, route) == (1, Some(Route::Page)), &now)
    });

    start_session(&server, "coder");
    let of_agents = |change: &Change| change.agents;
    at_server.until(of_agents, || state(&server, AgentState::Working));
    at_laptop.until(of_agents, || state(laptop, AgentState::Working));

    // The other machine is gone: the peer and its agents are shown otherwise, and its own reader is told by the end.
    server.stop();
    assert!(std::iter::from_fn(|| at_server.next_change()).count() < 1000, "it ends");
    at_laptop.until(of_agents, || state(laptop, AgentState::Unreachable));
    at_laptop.until(
        |change| change.status,
        || {
            let peers = laptop.status().peers;
            is(peers[0].failures > 0, &peers)
        },
    );
}

#[test]
fn what_a_peer_lacks_that_is_away_and_each_failed_attempt_are_told() {
    let (laptop, mut server) = paired_daemons();
    register(&laptop, "planner");
    converge(LONG, &[&laptop, &server]);
    let mut reader = ChangeReader::of(&laptop);
    server.stop();
    laptop.append(["the first"]);
    let peer = || laptop.status().peers.remove(0);
    let of_status = |change: &Change| change.status;
    reader.until(of_status, || {
        let peer = peer();
        is(peer.state == PeerState::BackingOff, &peer)
    });
    // Its state stays what it is, while it lacks more and more.
    for text in ["the second", "the third"] {
        let last = laptop.append([text])[0].sequence;
        let change = loop {
            let change = reader.next_change().expect("a change");
            if change.read_seq >= last {
                break change;
            }
        };
        assert!(change.status && change.deliveries, "{change:?}");
    }
    let failures = peer().failures;
    reader.until(of_status, || {
        let peer = peer();
        is(peer.failures > failures, &peer)
    });
}

#[test]
fn a_machine_that_is_away_when_the_daemon_starts_is_told_when_that_is_known() {
    let (mut laptop, server) = paired_daemons();
    register(&server, "coder");
    start_session(&server, "coder");
    converge(LONG, &[&laptop, &server]);
    laptop.stop();
    // It takes connections and answers nothing: the first attempt fails late.
    process::signal(server.pid(), Signal::STOP);
    laptop.start_again();
    let mut reader = ChangeReader::of(&laptop);
    reader.until(|change| change.agents, || state(&laptop, AgentState::Unreachable));
}
