//! 1,000 agents whose tools run and do nothing: they write nothing and wake nobody.

use std::time::Duration;

use thrum_api::event::SessionState;
use thrum_api::local::{AgentList, AgentListParams, SessionStart, SessionStartParams};

use super::bootstrap::setup;
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::tell;
use super::size::Size;
use crate::harness::process;

/// Longer than tokio keeps threads that have nothing to do, and than a change of state is held back.
const SETTLE: Duration = Duration::from_secs(20);
const PROJECT: &str = "test";

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let count = size.of(1_000);
    let watched = Duration::from_secs(if size == Size::Full { 60 } else { 5 });
    tell(&format!("presence: {count} agents with a session each"));
    let daemon = setup("present").start();
    let mut connection = Connection::open(&daemon);
    for number in 0..count {
        connection.call::<SessionStart>(&SessionStartParams {
            agent: format!("agent-{number}"),
            project: PROJECT.to_owned(),
            pid: Some(std::process::id()),
            state: Some(SessionState::Idle),
            ..SessionStartParams::default()
        });
    }
    tell("presence: letting it come to rest");
    std::thread::sleep(SETTLE);
    let params = AgentListParams { project: Some(PROJECT.to_owned()), all: false };
    let live = connection.call::<AgentList>(&params).agents;
    assert!(live.len() == count && live.iter().all(|agent| agent.sessions.len() == 1));
    std::thread::sleep(SETTLE);
    let before = (daemon.health().head_seq, process::Effort::of(daemon.pid()));
    tell(&format!("presence: watching for {} s", watched.as_secs()));
    std::thread::sleep(watched);
    let after = process::Effort::of(daemon.pid());
    let events = daemon.health().head_seq.0 - before.0.0;
    let wakes = after.wakes_since(&before.1);
    vec![
        Figure::new(
            "presence_events",
            "events of 1,000 idle agents in a minute",
            (events as f64, ""),
            Target::AtMost(0.0),
            format!("{} events when they began", before.0),
        ),
        Figure::new(
            "presence_wakes",
            "wake-ups of all threads in a minute with 1,000 idle agents",
            (wakes as f64, ""),
            Target::AtMost(0.0),
            format!(
                "{:.1} MiB resident",
                super::sample::mebibytes(process::resident_bytes(daemon.pid()))
            ),
        ),
    ]
}
