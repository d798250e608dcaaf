//! The book, without a clock and a log.

mod random;
mod restart;
mod rules;
mod waits;
mod waking;

use std::time::Duration;

use thrum_api::Timestamp;
use thrum_api::event::{SessionInfo, SessionState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::book::{Book, Due, Now};
use super::callers::Began;
use super::change::Change;
use super::error::SessionError;
use super::live::{AgentKey, Keeper, KeptProcess, Watch};

const SECOND: Duration = Duration::from_secs(1);

fn key(agent: &str) -> AgentKey {
    AgentKey { project: "app".to_owned(), agent: agent.to_owned() }
}

fn says(state: SessionState) -> Change {
    Change { state: Some(state), ..Change::default() }
}

fn asks(question: &str) -> Change {
    Change { question: Some(question.to_owned()), ..says(SessionState::NeedsYou) }
}

/// What a process keeps.
fn process(pid: u32) -> Keeper {
    Keeper {
        process: Some(KeptProcess { pid, identity: Some(format!("start {pid}")) }),
        connection: None,
        watch: Some(Watch { number: pid.into(), _end: CancellationToken::new().drop_guard() }),
        ..Keeper::default()
    }
}

/// What a connection keeps.
fn connection(id: u64) -> Keeper {
    let watch = Watch { number: 1000 + id, _end: CancellationToken::new().drop_guard() };
    Keeper { connection: Some(id), watch: Some(watch), ..Keeper::default() }
}

/// A book, and the time. What is told is in the log at once.
struct Desk {
    book: Book,
    now: Now,
    /// The waits that have not ended.
    waits: Vec<(AgentKey, Began)>,
}

impl Desk {
    fn new() -> Self {
        let now = Now { at: Instant::now(), wall: Timestamp::from_millis(1_000_000) };
        let mut book = Book::starting(now.at);
        book.told_before(Vec::new(), &Default::default(), now);
        Self { book, now, waits: Vec::new() }
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.now.wall = Timestamp::from_millis(self.now.wall.as_millis() + millis);
    }

    fn start(&mut self, agent: &str, id: &str, change: &Change) -> SessionInfo {
        let keeper = process(7);
        self.book.start(&key(agent), id.to_owned(), change, keeper, self.now).unwrap()
    }

    fn update(&mut self, agent: &str, change: &Change) -> Result<SessionInfo, SessionError> {
        self.book.update(&key(agent), None, change, self.now)
    }

    fn wait(&mut self, agent: &str, named: Option<&str>, connection: u64) -> String {
        self.began(&key(agent), named, connection).unwrap()
    }

    /// The session that waits, if there is room for it.
    fn began(&mut self, key: &AgentKey, named: Option<&str>, connection: u64) -> Option<String> {
        let began = self.book.wait_began(key, named, connection, self.now)?;
        self.waits.push((key.clone(), began.clone()));
        Some(began.id)
    }

    fn wait_ends(&mut self, agent: &str, id: &str) {
        self.wait_ends_of(&key(agent), id);
    }

    /// The oldest wait of this session ends.
    fn wait_ends_of(&mut self, key: &AgentKey, id: &str) {
        let place = self.waits.iter().position(|(of, began)| of == key && began.id == id);
        let Some(place) = place else { return };
        let (key, began) = self.waits.remove(place);
        self.book.wait_ended(&key, &began, self.now);
    }

    /// What is told now.
    fn due(&mut self) -> Vec<Due> {
        let due = self.book.take_due(100, self.now);
        self.book.written(&due);
        due
    }

    /// What is told now of one agent: its sessions with their states.
    fn told(&mut self) -> Vec<String> {
        let due = self.due();
        assert!(due.len() <= 1, "{due:?}");
        due.into_iter().flat_map(|due| states(&due.sessions)).collect()
    }

    /// Whether nothing is to be told, not later either.
    fn is_quiet(&mut self) -> bool {
        self.due().is_empty() && self.book.next_due().is_none()
    }
}

/// Each session with its state.
fn states(sessions: &[SessionInfo]) -> Vec<String> {
    let state = |session: &SessionInfo| {
        let state = serde_json::to_value(session.state).unwrap();
        format!("{} {}", session.id, state.as_str().unwrap())
    };
    sessions.iter().map(state).collect()
}
