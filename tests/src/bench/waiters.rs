use std::io::Write as _;
use std::os::unix::net::UnixStream;

use thrum_api::local::{
    AgentList, AgentListParams, InboxParams, MessageInbox, MessageSend, MessageSendParams,
    MessageWait, WaitParams,
};
use thrum_api::{Method as _, envelope};

use super::appends::alone;
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Daemon, LONG, connect_unix, eventually, holds, http};

/// Sends that are timed together: what one causes in the waiters goes on while the next one is sent.
const BATCH: usize = 20;

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let (count, many) = (size.of(200), size.of(800));
    tell(&format!("waiters: {count} sends with 1 and with {many} waiters of other names"));
    let (mut few, mut crowd) = (Waited::by(1), Waited::by(many));
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for _ in 0..count.div_ceil(BATCH) {
        few.settle();
        bare.time(|| few.send(BATCH));
        few.settle();
        crowd.settle();
        ours.time(|| crowd.send(BATCH));
        crowd.settle();
    }
    vec![Figure::new(
        "waiters",
        "sends while 800 others wait for messages, against 1",
        (ours.median() / bare.median(), "x"),
        Target::AtMost(1.2),
        format!(
            "{BATCH} sends: {} with {many} waiters, {} with 1",
            words(ours.median()),
            words(bare.median())
        ),
    )]
}

/// A daemon whose agents wait for messages that don't come, and the connection of a sender.
struct Waited {
    sender: Connection,
    _waiters: Vec<UnixStream>,
    _daemon: Daemon,
}

impl Waited {
    fn by(count: usize) -> Self {
        let daemon = alone();
        let waiters: Vec<_> = (0..count).map(|number| wait(&daemon, number)).collect();
        // Each joins before it begins to wait.
        eventually(LONG, || {
            let joined = daemon.ask::<AgentList>(AgentListParams::default()).agents.len();
            holds(joined == count, || format!("{joined} of {count} have joined"))
        });
        let mut waited =
            Self { sender: Connection::open(&daemon), _waiters: waiters, _daemon: daemon };
        // The recipient is known from now on.
        waited.sender.call::<MessageInbox>(&InboxParams {
            agent: "coder".to_owned(),
            project: Some("test".to_owned()),
            limit: Some(1),
            ..InboxParams::default()
        });
        waited.send(BATCH);
        waited
    }

    fn send(&mut self, count: usize) {
        for _ in 0..count {
            self.sender.call::<MessageSend>(&MessageSendParams {
                from: "planner".to_owned(),
                to: vec!["coder".to_owned()],
                text: "the build is green".to_owned(),
                project: "test".to_owned(),
                ..MessageSendParams::default()
            });
        }
    }

    /// Returns when what was sent has been digested, and what that caused in the waiters is over.
    fn settle(&mut self) {
        // Of a project without agents: a long answer would cost the daemon with many of them its share of the CPU.
        let params = AgentListParams { project: Some("quiet".to_owned()), all: false };
        for _ in 0..2 {
            self.sender.call::<AgentList>(&params);
        }
    }
}

/// The connection of an agent of its own that waits.
fn wait(daemon: &Daemon, number: usize) -> UnixStream {
    let params = WaitParams {
        agent: format!("waiter-{number}"),
        project: Some("test".to_owned()),
        timeout_ms: 3_600_000,
        ..WaitParams::default()
    };
    let body = envelope::request::<MessageWait>(1, &params).expect(MessageWait::NAME);
    let mut stream = connect_unix(&daemon.socket()).expect("the daemon's socket");
    let headers = [("content-type", "application/json")];
    stream.write_all(&http::request("POST", "/rpc", &headers, &body)).expect("its request");
    stream
}
