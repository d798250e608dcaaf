//! A log and its views in a folder.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::EventHeader;
use thrum_api::local::{
    AgentListParams, EventListParams, InboxParams, MarkReadParams, MessageSendParams,
    MessageSendResult, WaitParams,
};
use thrum_api::peer::Run;
use thrum_api::proof::Chain;

use super::super::{Agents, AgentsParts};
use super::*;
use crate::log::{Batch, Checkpoint, IncomingPage, Log};
use crate::proof::{chain_next, chain_start, point_message};

/// Time limit of each wait; nothing takes that long.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("it takes too long")
}

pub(super) struct Home {
    pub(super) log: Log,
    pub(super) agents: Agents,
}

impl Home {
    /// Opens log and views in a new directory.
    pub(super) fn new() -> (TempDir, Self) {
        let directory = TempDir::new().unwrap();
        let home = Self::open(directory.path());
        (directory, home)
    }

    pub(super) fn open(directory: &Path) -> Self {
        let log = Log::open(directory, Arc::new(key(1)), false).unwrap().0;
        let agents = Agents::open(parts(directory, &log)).unwrap();
        Self { log, agents }
    }

    pub(super) async fn close(self) {
        self.agents.close().await;
        self.log.close().await.unwrap();
    }

    /// Waits until the views have all of the log: a message that is sent sooner waits only a moment for them.
    pub(super) async fn is_digested(&self) {
        let head = self.log.head().position.sequence;
        within(self.agents.digested(head)).await.unwrap();
    }

    pub(super) async fn say(&self, from: &str, to: &[&str], text: &str) -> MessageSendResult {
        within(self.agents.send(message_params(from, to, text))).await.unwrap()
    }

    /// Texts in an inbox, unread ones with a star.
    pub(super) async fn inbox(&self, agent: &str) -> Vec<String> {
        let inbox = within(self.agents.inbox(reader(agent))).await.unwrap();
        let star = |read| if read { "" } else { "*" };
        inbox.messages.iter().map(|m| format!("{}{}", m.text, star(m.read))).collect()
    }

    pub(super) async fn mark_read(&self, agent: &str, event_ids: Vec<EventId>) {
        let messages = event_ids.into_iter().map(by_id).collect();
        let params =
            MarkReadParams { agent: agent.to_owned(), messages, ..MarkReadParams::default() };
        within(self.agents.mark_read(params)).await.unwrap();
    }

    /// Names of the agents that are listed.
    pub(super) async fn listed(&self, all: bool) -> Vec<String> {
        let params = AgentListParams { all, ..AgentListParams::default() };
        let agents = within(self.agents.list(params)).await.unwrap();
        agents.into_iter().map(|agent| agent.name).collect()
    }

    pub(super) async fn joined(&self) -> Vec<String> {
        let events = self.of_type("agent.joined").await;
        events.iter().map(|event| event.body["agent"].as_str().unwrap().to_owned()).collect()
    }

    /// The events of this type.
    pub(super) async fn of_type(&self, event_type: &str) -> Vec<thrum_api::Event> {
        let params = EventListParams {
            event_type: Some(event_type.to_owned()),
            ..EventListParams::default()
        };
        let events = self.log.list(params).await.unwrap().events;
        events.iter().map(|event| serde_json::from_str(event.event.get()).unwrap()).collect()
    }

    pub(super) async fn apply(&self, events: Vec<SequencedEvent>) {
        apply(&self.log, events).await;
    }
}

pub(super) async fn apply(log: &Log, events: Vec<SequencedEvent>) {
    let places = (1..).map(Sequence);
    let runs = events.into_iter().zip(places).map(|(event, at)| signed(event, at)).collect();
    let page = IncomingPage::read(runs);
    let batch = Batch {
        peer: there(),
        page,
        checkpoint: None,
        from: Checkpoint::default(),
        epoch: None,
        held: None,
        is_whole: false,
    };
    log.apply(batch).await.unwrap();
}

/// A run of one event, signed by its origin, at this place of the peer's log. What went before it in its origin doesn't
/// matter to the views.
fn signed(SequencedEvent { event, .. }: SequencedEvent, sequence: Sequence) -> Run {
    let header: EventHeader = serde_json::from_str(event.get()).unwrap();
    let (origin, at) = (header.origin(), header.origin_sequence);
    let key = (0..=u8::MAX).map(key).find(|key| key.id() == origin.daemon).unwrap();
    let previous = if at.0 == 1 { chain_start(&origin) } else { Chain([0; 32]) };
    let chain = chain_next(previous, event.get().as_bytes());
    let signature = key.sign(&point_message(&origin, at, chain));
    Run { previous, signature, events: vec![SequencedEvent { sequence, event }] }
}

/// What the views need; nobody is a peer.
pub(super) fn parts(directory: &Path, log: &Log) -> AgentsParts {
    AgentsParts {
        state_dir: directory.to_owned(),
        log: log.clone(),
        name: "here".into(),
        is_peer: Arc::new(|_| false),
        wake_off: Default::default(),
    }
}

pub(super) fn message_params(from: &str, to: &[&str], text: &str) -> MessageSendParams {
    MessageSendParams {
        from: from.to_owned(),
        to: to.iter().map(|name| (*name).to_owned()).collect(),
        text: text.to_owned(),
        project: PROJECT.to_owned(),
        ..MessageSendParams::default()
    }
}

pub(super) fn reader(agent: &str) -> InboxParams {
    InboxParams {
        agent: agent.to_owned(),
        project: Some(PROJECT.to_owned()),
        ..InboxParams::default()
    }
}

pub(super) fn waiter(agent: &str, timeout: Duration) -> WaitParams {
    WaitParams {
        agent: agent.to_owned(),
        project: Some(PROJECT.to_owned()),
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap(),
        ..WaitParams::default()
    }
}
