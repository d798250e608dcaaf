//! Sessions over a real log, with real processes.

use std::process::{Child, Command};
use std::sync::atomic::Ordering;

use thrum_api::event::{SessionInfo, SessionState};
use thrum_api::local::{
    Agent, AgentListParams, AgentState, EventListParams, SessionEndParams, SessionStartParams,
    SessionUpdateParams,
};

use super::super::LocalConnection;
use super::home::{Home, LIMIT, waiter, within};
use super::*;

/// A process that is killed with the test.
pub(super) struct Sleeper(Child);

impl Sleeper {
    pub(super) fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        Some(self.0.id())
    }

    pub(super) fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start_of(agent: &str, id: &str) -> SessionStartParams {
    SessionStartParams {
        agent: agent.to_owned(),
        project: PROJECT.to_owned(),
        session: Some(id.to_owned()),
        ..SessionStartParams::default()
    }
}

fn update_of(agent: &str, state: SessionState) -> SessionUpdateParams {
    SessionUpdateParams {
        agent: agent.to_owned(),
        project: PROJECT.to_owned(),
        state: Some(state),
        ..SessionUpdateParams::default()
    }
}

async fn start(home: &Home, params: SessionStartParams, on: &LocalConnection) -> SessionInfo {
    within(home.agents.session_start(params, on)).await.unwrap().session
}

async fn agents(home: &Home) -> Vec<Agent> {
    within(home.agents.list(AgentListParams::default())).await.unwrap()
}

async fn told(home: &Home) -> Vec<thrum_api::event::AgentSessions> {
    let params = EventListParams {
        event_type: Some("agent.sessions".to_owned()),
        limit: Some(1000),
        ..EventListParams::default()
    };
    let events = home.log.list(params).await.unwrap().events;
    let body = |event: &SequencedEvent| {
        let event: thrum_api::Event = serde_json::from_str(event.event.get()).unwrap();
        serde_json::from_value(event.body).unwrap()
    };
    events.iter().map(body).collect()
}

/// Returns when so many events tell of sessions.
async fn until_told(home: &Home, count: usize) -> Vec<thrum_api::event::AgentSessions> {
    let mut heads = home.log.watch();
    within(async {
        loop {
            heads.mark_unchanged();
            let told = told(home).await;
            if told.len() >= count {
                return told;
            }
            heads.changed().await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn a_session_joins_its_agent_and_ends_with_its_process() {
    let (_directory, home) = Home::new();
    let mut sleeper = Sleeper::start();
    let on = LocalConnection::new();
    let params = SessionStartParams { pid: sleeper.pid(), ..start_of("coder", "s") };
    start(&home, params, &on).await;
    assert_eq!(home.joined().await, ["coder"]);
    assert_eq!(until_told(&home, 1).await[0].sessions[0].id, "s");
    let before = agents(&home).await.remove(0);
    assert_eq!((before.state, before.sessions.len()), (AgentState::Working, 1));
    sleeper.end();
    let told = until_told(&home, 2).await;
    assert!(told[1].sessions.is_empty());
    let gone = agents(&home).await.remove(0);
    assert_eq!((gone.state, gone.sessions.len()), (AgentState::Gone, 0));
    assert!(gone.since >= before.since);
    home.close().await;
}

#[tokio::test]
async fn a_session_ends_with_its_connection_and_not_with_another_one() {
    let (_directory, home) = Home::new();
    let [on, other] = [LocalConnection::new(), LocalConnection::new()];
    let params = SessionStartParams { connection: true, ..start_of("coder", "s") };
    start(&home, params.clone(), &on).await;
    start(&home, params, &on).await;
    other.close();
    assert_eq!(agents(&home).await[0].state, AgentState::Working);
    on.close();
    assert!(until_told(&home, 2).await[1].sessions.is_empty());
    let params = SessionStartParams { connection: true, ..start_of("coder", "t") };
    start(&home, params, &on).await;
    let ended = async {
        while agents(&home).await[0].state != AgentState::Gone {
            tokio::task::yield_now().await;
        }
    };
    within(ended).await;
    home.close().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told() {
    let (_directory, home) = Home::new();
    let on = LocalConnection::new();
    let mut ended = Sleeper::start();
    ended.end();
    let with = |pid| SessionStartParams { pid, ..start_of("coder", "s") };
    let connected = SessionStartParams { connection: true, ..start_of("coder", "s") };
    let long = Some("é".repeat(501));
    for (params, words) in [
        (start_of("coder", "s"), "a session needs `pid` or `connection`"),
        (with(Some(0)), "0 is not the id of a process"),
        (with(Some(1)), "1 is not the id of a process"),
        (with(Some(u32::MAX)), "is not the id of a process"),
        (with(ended.pid()), "no process with the id"),
        (
            SessionStartParams { task: long.clone(), ..connected.clone() },
            "`task` has 501 characters; at most 500 are allowed",
        ),
        (
            SessionStartParams { session: Some("a\nb".to_owned()), ..connected.clone() },
            "`session` must not be empty or have control characters",
        ),
        (
            SessionStartParams {
                question: Some("push?".to_owned()),
                state: Some(SessionState::Idle),
                ..connected.clone()
            },
            "`question` goes with the state needs_you alone",
        ),
        (
            SessionStartParams { state: Some(SessionState::Other), ..connected.clone() },
            "`state` is none of",
        ),
        (SessionStartParams { agent: "a b".to_owned(), ..connected.clone() }, "an agent's name"),
    ] {
        let error = home.agents.session_start(params, &on).await.unwrap_err().to_rpc();
        assert!(error.message.contains(words), "{}", error.message);
    }
    assert_eq!(home.log.head().position.sequence, Sequence(0), "nothing was written");

    for id in ["a", "b"] {
        start(&home, SessionStartParams { connection: true, ..start_of("coder", id) }, &on).await;
    }
    let error = home.agents.session_update(&update_of("coder", SessionState::Idle)).unwrap_err();
    let error = error.to_rpc();
    assert_eq!(error.member("sessions"), Some(&json!(["a", "b"])));
    assert_eq!(error.message, "coder has 2 live sessions: say which");
    let end = |agent: &str| SessionEndParams {
        agent: agent.to_owned(),
        project: PROJECT.to_owned(),
        session: Some("c".to_owned()),
    };
    let error = home.agents.session_end(&end("coder")).unwrap_err().to_rpc();
    assert_eq!(error.code, thrum_api::ErrorCode::NOT_FOUND);
    home.close().await;
}

#[tokio::test]
async fn a_restart_tells_nothing_that_did_not_change() {
    let directory = TempDir::new().unwrap();
    let home = Home::open(directory.path());
    let [lives, mut ends] = [Sleeper::start(), Sleeper::start()];
    let on = LocalConnection::new();
    let question = Some("push?".to_owned());
    for (agent, pid) in [("lives", lives.pid()), ("ends", ends.pid())] {
        let params = SessionStartParams { pid, question: question.clone(), ..start_of(agent, "s") };
        start(&home, params, &on).await;
    }
    let mcp = SessionStartParams { connection: true, ..start_of("lives", "mcp") };
    start(&home, mcp.clone(), &on).await;
    let before = until_told(&home, 3).await;
    home.close().await;
    ends.end();

    let home = Home::open(directory.path());
    start(&home, mcp, &on).await;
    let after = until_told(&home, 4).await;
    assert_eq!(after[..3], before);
    assert_eq!((after[3].agent.as_str(), after[3].sessions.len()), ("ends", 0));
    let listed = agents(&home).await;
    let states: Vec<_> = listed.iter().map(|agent| (agent.name.as_str(), agent.state)).collect();
    assert_eq!(states, [("ends", AgentState::Gone), ("lives", AgentState::NeedsYou)]);
    assert_eq!(listed[1].sessions, before[2].sessions);
    home.close().await;

    // A process with the id of one that ended: its identity is another.
    let views = Connection::open(directory.path().join("views.db")).unwrap();
    let changed = views.execute("UPDATE live_sessions SET identity = 'start 1'", []).unwrap();
    assert_eq!(changed, 1);
    drop(views);
    let home = Home::open(directory.path());
    let mcp = SessionStartParams { connection: true, ..start_of("lives", "mcp") };
    start(&home, mcp, &on).await;
    let after = until_told(&home, 5).await;
    assert_eq!((after[4].agent.as_str(), after[4].sessions.len()), ("lives", 1));
    home.close().await;
}

#[tokio::test]
async fn a_rebuild_of_the_views_keeps_live_sessions() {
    let directory = TempDir::new().unwrap();
    let home = Home::open(directory.path());
    let lives = Sleeper::start();
    let on = LocalConnection::new();
    let params = SessionStartParams { pid: lives.pid(), ..start_of("coder", "s") };
    start(&home, params, &on).await;
    for suffix in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(directory.path().join(format!("views.db{suffix}"))));
    }
    assert_eq!(agents(&home).await[0].state, AgentState::Working);
    home.close().await;
    let home = Home::open(directory.path());
    assert_eq!(agents(&home).await[0].state, AgentState::Working);
    let params = SessionStartParams { pid: lives.pid(), ..start_of("coder", "s") };
    start(&home, params, &on).await;
    assert_eq!(told(&home).await.len(), 1);
    home.close().await;
}

#[tokio::test]
async fn a_caller_that_waits_is_a_session_meanwhile() {
    let (_directory, home) = Home::new();
    let on = LocalConnection::new();
    let wait = async {
        for _ in 0..3 {
            let params = waiter("coder", std::time::Duration::from_millis(1));
            within(home.agents.wait_on(&on, params)).await.unwrap();
        }
        within(home.agents.wait_on(&on, waiter("coder", LIMIT))).await.unwrap()
    };
    let send = async {
        let told = until_told(&home, 1).await;
        assert_eq!(told[0].sessions[0].id, "wait-1");
        assert_eq!(told[0].sessions[0].state, SessionState::Waiting);
        home.say("planner", &["coder"], "hello").await;
    };
    let (waited, ()) = tokio::join!(wait, send);
    assert_eq!(waited.messages.len(), 1);
    let told = until_told(&home, 2).await;
    assert!(told[1].sessions.is_empty(), "in the end it is told that nobody waits");
    home.close().await;
}

#[tokio::test]
async fn a_burst_of_starts_is_written_in_few_appends() {
    let (_directory, home) = Home::new();
    let on = LocalConnection::new();
    let starts = (0..90).map(|number| {
        let params =
            SessionStartParams { connection: true, ..start_of(&format!("agent{number}"), "s") };
        start(&home, params, &on)
    });
    futures_util::future::join_all(starts).await;
    assert_eq!(until_told(&home, 90).await.len(), 90);
    assert_eq!(home.joined().await.len(), 90);
    let listed = agents(&home).await;
    assert!(listed.iter().all(|agent| agent.state == AgentState::Working));
    home.close().await;
}

#[tokio::test]
async fn new_views_in_place_of_damaged_ones_know_which_sessions_are_live() {
    let (_directory, home) = Home::new();
    let sleeper = Sleeper::start();
    let params = SessionStartParams { pid: sleeper.pid(), ..start_of("coder", "s") };
    start(&home, params, &LocalConnection::new()).await;
    let signals = &home.agents.inner.signals;
    signals.unusable.store(true, Ordering::SeqCst);
    signals.requested.notify_one();
    within(async {
        let is_kept = async || {
            let kept = home.agents.call(|store| store.kept_sessions()).await.unwrap();
            kept.iter().any(|kept| kept.info.told.id == "s")
        };
        while signals.unusable.load(Ordering::SeqCst) || !is_kept().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    home.close().await;
}
