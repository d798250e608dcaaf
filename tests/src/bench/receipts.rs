//! 1,000 agents on 20 machines, each of which sends one message: what that writes and sends.

use std::collections::BTreeMap;

use serde_json::json;
use thrum_api::Sequence;
use thrum_api::local::{
    EventList, EventListParams, InboxParams, MarkReadParams, MessageInbox, MessageMarkRead,
    MessageRef, MessageSend, MessageSendParams, MessageSent, MessageSentParams,
};

use super::bootstrap::setup;
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::tell;
use super::size::Size;
use crate::harness::{Daemon, LONG, Wire, converge, event_of, eventually, holds, pair};

const PROJECT: &str = "test";

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let (machines, each) = if size == Size::Full { (20, 50) } else { (4, 5) };
    let messages = (machines * each) as f64;
    tell(&format!("receipts: {machines} machines around one of them, {each} agents on each"));
    let (daemons, wires) = around_a_hub(machines);
    join(&daemons, each);
    let before: u64 = wires.iter().map(Wire::bytes).sum();
    send(&daemons, each);
    let all: Vec<&Daemon> = daemons.iter().collect();
    converge(LONG, &all);
    read(&daemons, each);
    eventually(LONG, || daemons.iter().enumerate().try_for_each(|it| all_read(it, each)));
    converge(LONG, &all);
    let bytes = wires.iter().map(Wire::bytes).sum::<u64>() - before;
    let receipts = count(&daemons[0], "message.receipts");
    vec![
        Figure::new(
            "receipts_events",
            "events of receipts, for each message of a burst of 1,000 agents on 20 machines",
            (receipts as f64 / messages, ""),
            Target::AtMost(0.2),
            format!("{receipts} events of receipts for {messages} messages that were all read"),
        ),
        Figure::new(
            "receipts_wire",
            "bytes on all wires for each of these messages, receipts included",
            (bytes as f64 / messages, "bytes"),
            Target::None,
            format!("each message goes to {} other machines", machines - 1),
        ),
    ]
}

/// Machines that are all paired with the first one, and the wires between them, which count.
fn around_a_hub(machines: usize) -> (Vec<Daemon>, Vec<Wire>) {
    let mut daemons: Vec<_> =
        (0..machines).map(|number| setup(&format!("machine-{number}")).start()).collect();
    for spoke in &daemons[1..] {
        pair(&daemons[0], spoke);
    }
    let ids: Vec<_> = daemons.iter().map(Daemon::id).collect();
    let wires: Vec<_> = daemons.iter().map(|daemon| Wire::to(daemon.peer_address())).collect();
    for daemon in &mut daemons {
        daemon.stop();
    }
    for number in 1..machines {
        daemons[number].set_peer_address(ids[0], wires[0].address());
        daemons[0].set_peer_address(ids[number], wires[number].address());
    }
    for daemon in &mut daemons {
        daemon.start_again();
    }
    (daemons, wires)
}

fn name(machine: usize, agent: usize) -> String {
    format!("agent-{machine}-{agent}")
}

fn join(daemons: &[Daemon], each: usize) {
    for (machine, daemon) in daemons.iter().enumerate() {
        let joins = (0..each).map(|agent| thrum_api::Draft {
            event_type: "agent.joined".to_owned(),
            project: Some(PROJECT.to_owned()),
            ..event_of(&json!({ "agent": name(machine, agent) }))
        });
        Connection::open(daemon).append(joins.collect());
    }
    converge(LONG, &daemons.iter().collect::<Vec<_>>());
}

/// Each agent sends one message to one on the next machine, all machines at the same time.
fn send(daemons: &[Daemon], each: usize) {
    std::thread::scope(|scope| {
        for (machine, daemon) in daemons.iter().enumerate() {
            scope.spawn(move || {
                let mut connection = Connection::open(daemon);
                for agent in 0..each {
                    connection.call::<MessageSend>(&MessageSendParams {
                        from: name(machine, agent),
                        to: vec![name((machine + 1) % daemons.len(), agent)],
                        text: "the build is green".to_owned(),
                        project: PROJECT.to_owned(),
                        ..MessageSendParams::default()
                    });
                }
            });
        }
    });
}

/// Each agent reads its inbox, which has to hold the one message that is for it.
fn read(daemons: &[Daemon], each: usize) {
    std::thread::scope(|scope| {
        for (machine, daemon) in daemons.iter().enumerate() {
            scope.spawn(move || {
                let mut connection = Connection::open(daemon);
                for number in 0..each {
                    let agent = name(machine, number);
                    let inbox = connection.call::<MessageInbox>(&InboxParams {
                        agent: agent.clone(),
                        project: Some(PROJECT.to_owned()),
                        ..InboxParams::default()
                    });
                    let from = (machine + daemons.len() - 1) % daemons.len();
                    let senders: Vec<_> =
                        inbox.messages.iter().map(|message| message.from.clone()).collect();
                    assert_eq!(senders, [name(from, number)], "the inbox of {agent}");
                    connection.call::<MessageMarkRead>(&MarkReadParams {
                        agent,
                        messages: inbox.messages.iter().map(MessageRef::from).collect(),
                        ..MarkReadParams::default()
                    });
                }
            });
        }
    });
}

/// Whether each sender of a machine knows that its message was read.
fn all_read((machine, daemon): (usize, &Daemon), each: usize) -> Result<(), String> {
    let mut connection = Connection::open(daemon);
    let mut unread = BTreeMap::new();
    for number in 0..each {
        let agent = name(machine, number);
        let params = MessageSentParams {
            agent: agent.clone(),
            project: PROJECT.to_owned(),
            before: None,
            limit: None,
        };
        let sent = connection.call::<MessageSent>(&params).messages;
        if !sent.iter().all(|message| message.read == 1) {
            unread.insert(agent, sent);
        }
    }
    holds(unread.is_empty(), || format!("not read yet: {:?}", unread.keys().take(3)))
}

fn count(daemon: &Daemon, event_type: &str) -> usize {
    let mut connection = Connection::open(daemon);
    let (mut after, mut count) = (Sequence::ZERO, 0);
    loop {
        let listed = connection.call::<EventList>(&EventListParams {
            after,
            event_type: Some(event_type.to_owned()),
            ..EventListParams::default()
        });
        let Some(last) = listed.events.last() else { return count };
        after = last.sequence;
        count += listed.events.len();
    }
}
