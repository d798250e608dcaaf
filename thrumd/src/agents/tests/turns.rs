//! Hooks of sessions: each is shown each message once.

use std::time::Duration;

use thrum_api::event::{Reach, SessionState};
use thrum_api::local::{
    AgentListParams, HookPoint, MarkReadParams, Message, SessionHookParams, SessionMessagesParams,
    SessionMessagesResult, SessionStartParams,
};

use super::super::LocalConnection;
use super::home::{Home, LIMIT, within};
use super::sessions::Sleeper;
use super::*;

/// Sessions of one agent, whose tool is one process.
pub(super) struct Tool {
    pub(super) home: Home,
    pub(super) directory: TempDir,
    pub(super) process: Sleeper,
    pub(super) on: LocalConnection,
}

impl Tool {
    pub(super) fn new() -> Self {
        let (directory, home) = Home::new();
        let (process, on) = (Sleeper::start(), LocalConnection::new());
        Self { home, directory, process, on }
    }

    pub(super) fn params(&self, session: &str, point: HookPoint) -> SessionHookParams {
        SessionHookParams {
            agent: "coder".to_owned(),
            project: PROJECT.to_owned(),
            session: session.to_owned(),
            point,
            tool: Some("claude-code".to_owned()),
            pid: self.process.pid(),
            folder: None,
            branch: None,
            work: false,
            limit: None,
        }
    }

    pub(super) async fn answer(&self, params: SessionHookParams) -> SessionMessagesResult {
        within(self.home.agents.session_hook(params, &self.on)).await.unwrap()
    }

    /// What a hook answers on a connection, which it doesn't mark read.
    pub(super) async fn look(
        &self,
        session: &str,
        point: HookPoint,
        on: &LocalConnection,
    ) -> Vec<Message> {
        let params = self.params(session, point);
        within(self.home.agents.session_hook(params, on)).await.unwrap().messages
    }

    pub(super) async fn mark(&self, session: &str, messages: &[Message]) {
        let messages = messages
            .iter()
            .map(|it| MessageRef { event_id: it.event_id, origin_daemon: Some(it.origin_daemon) });
        let params = MarkReadParams {
            agent: "coder".to_owned(),
            messages: messages.collect(),
            route: Some(Route::Hook),
            session: Some(session.to_owned()),
        };
        within(self.home.agents.mark_read(params)).await.unwrap();
    }

    /// What a hook shows: it is marked read.
    pub(super) async fn shown(&self, session: &str, point: HookPoint) -> Vec<String> {
        let messages = self.look(session, point, &self.on).await;
        self.mark(session, &messages).await;
        texts(&messages)
    }

    pub(super) async fn say(&self, text: &str) {
        self.home.say("planner", &["coder"], text).await;
    }

    /// Returns when the sessions do this.
    pub(super) async fn until_states(&self, states: &[&str]) {
        within(async {
            while self.states().await != states {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// What the sessions do.
    pub(super) async fn states(&self) -> Vec<String> {
        tokio::task::yield_now().await;
        let shown = self.home.agents.inner.sessions.look(|book| book.shown(None));
        let sessions = shown.agents.into_values().flat_map(|agent| agent.sessions);
        sessions.map(|it| format!("{} {:?}", it.id, it.state)).collect()
    }
}

pub(super) fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.text.clone()).collect()
}

pub(super) const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn each_session_is_shown_each_message_once() {
    let tool = Tool::new();
    for session in ["one", "two"] {
        assert_eq!(tool.shown(session, HookPoint::SessionStart).await, NOTHING);
    }
    for text in ["a", "b", "c", "d"] {
        tool.say(text).await;
    }
    let start = tool.answer(tool.params("one", HookPoint::SessionStart)).await;
    assert_eq!((start.messages.len(), start.left), (0, 4), "they are counted only");
    let first = tool.answer(tool.params("one", HookPoint::Prompt)).await;
    assert_eq!((texts(&first.messages), first.left), (strings(&["a", "b", "c"]), 1));
    tool.mark("one", &first.messages).await;
    assert_eq!(tool.shown("two", HookPoint::Prompt).await, ["a", "b", "c"]);
    assert_eq!(tool.shown("one", HookPoint::Step).await, ["d"]);
    assert_eq!(tool.shown("one", HookPoint::Step).await, NOTHING);
    assert_eq!(tool.shown("two", HookPoint::Step).await, ["d"]);
    assert_eq!(tool.shown("two", HookPoint::Prompt).await, NOTHING);
    // One that begins later has missed nothing that is unread.
    assert_eq!(tool.shown("three", HookPoint::Prompt).await, NOTHING);
    tool.home.close().await;
}

#[tokio::test]
async fn hooks_that_run_in_parallel_never_show_the_same() {
    let tool = Tool::new();
    for session in ["one", "two"] {
        tool.shown(session, HookPoint::SessionStart).await;
    }
    for text in ["a", "b", "c", "d"] {
        tool.say(text).await;
    }
    // First of those that are unread, then of those that the other session was shown.
    for session in ["one", "two"] {
        let connections: Vec<_> = (0..4).map(|_| LocalConnection::new()).collect();
        let hooks = connections.iter().map(|on| {
            let params =
                SessionHookParams { limit: Some(2), ..tool.params(session, HookPoint::Step) };
            async { within(tool.home.agents.session_hook(params, on)).await.unwrap().messages }
        });
        let answers = futures_util::future::join_all(hooks).await;
        let mut all: Vec<String> = answers.iter().flat_map(|messages| texts(messages)).collect();
        all.sort();
        assert_eq!(all, ["a", "b", "c", "d"], "{session}");
        // A hook that ends without having shown them gives them back.
        connections.iter().for_each(LocalConnection::close);
        within(async {
            while tool.look(session, HookPoint::Step, &tool.on).await.is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let (mut shown, again) = (Vec::new(), LocalConnection::new());
        within(async {
            while shown.len() < 4 {
                let messages = tool.look(session, HookPoint::Step, &tool.on).await;
                tool.mark(session, &messages).await;
                shown.extend(texts(&messages));
            }
        })
        .await;
        assert_eq!(shown, ["a", "b", "c", "d"], "{session}");
        assert_eq!(tool.look(session, HookPoint::Step, &again).await, []);
    }
    tool.home.close().await;
}

#[tokio::test]
async fn a_stop_answers_what_is_new_three_times_in_a_row_at_most() {
    let tool = Tool::new();
    tool.say("before").await;
    tool.shown("one", HookPoint::SessionStart).await;
    assert_eq!(tool.shown("one", HookPoint::Stop).await, NOTHING, "that is for the prompt");
    assert_eq!(tool.states().await, ["one Idle"]);
    assert_eq!(tool.shown("one", HookPoint::Prompt).await, ["before"]);
    for text in ["a", "b", "c"] {
        tool.say(text).await;
        assert_eq!(tool.shown("one", HookPoint::Stop).await, [text]);
        assert_eq!(tool.states().await, ["one Working"]);
        // The tool runs its hook for prompts with the stop's reason.
        assert_eq!(tool.shown("one", HookPoint::Prompt).await, NOTHING);
    }
    tool.say("d").await;
    assert_eq!(tool.shown("one", HookPoint::Stop).await, NOTHING);
    assert_eq!(tool.states().await, ["one Idle"]);
    tool.say("e").await;
    assert_eq!(tool.shown("one", HookPoint::Stop).await, NOTHING, "that is no new row");
    assert_eq!(tool.shown("one", HookPoint::Step).await, ["d", "e"]);
    let typed = SessionHookParams { work: true, ..tool.params("one", HookPoint::Prompt) };
    tool.answer(typed).await;
    tool.say("h").await;
    assert_eq!(tool.shown("one", HookPoint::Stop).await, ["h"], "a person begins a new row");
    tool.home.close().await;
}

#[tokio::test]
async fn hooks_tell_what_the_session_does_and_its_tool_keeps_it() {
    let mut tool = Tool::new();
    let first = SessionHookParams {
        folder: Some("/src/app".to_owned()),
        ..tool.params("one", HookPoint::SessionStart)
    };
    tool.answer(first).await;
    let listed = || async { tool.home.agents.list(AgentListParams::default()).await.unwrap() };
    within(async {
        // It joins aside.
        while listed().await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let session = listed().await.remove(0).sessions.remove(0);
    assert_eq!((session.state, session.reach), (SessionState::Idle, Some(Reach::Hooks)));
    assert_eq!(session.tool.as_deref(), Some("claude-code"));
    assert_eq!(session.folder.as_deref(), Some("/src/app"));
    for (point, state) in [
        (HookPoint::Prompt, "one Working"),
        (HookPoint::SessionStart, "one Working"),
        (HookPoint::Stop, "one Idle"),
        (HookPoint::Step, "one Working"),
    ] {
        tool.answer(tool.params("one", point)).await;
        assert_eq!(tool.states().await, [state], "{point:?}");
    }
    tool.answer(tool.params("one", HookPoint::SessionEnd)).await;
    assert_eq!(tool.states().await, NOTHING);
    tool.answer(tool.params("two", HookPoint::Prompt)).await;
    assert_eq!(tool.states().await, ["two Working"]);
    tool.process.end();
    within(async {
        while !tool.states().await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    tool.home.close().await;
}

#[tokio::test]
async fn a_session_that_nothing_keeps_is_shown_messages_all_the_same() {
    let tool = Tool::new();
    let without = |point| SessionHookParams { pid: None, ..tool.params("one", point) };
    tool.answer(without(HookPoint::SessionStart)).await;
    assert_eq!(tool.states().await, NOTHING);
    for number in 0..5 {
        tool.say(&number.to_string()).await;
        let stop = tool.answer(without(HookPoint::Stop)).await;
        tool.mark("one", &stop.messages).await;
        assert_eq!(stop.messages.len(), usize::from(number < 3), "{number}");
    }
    let prompt = tool.answer(without(HookPoint::Prompt)).await;
    assert_eq!(texts(&prompt.messages), ["3", "4"]);
    // Nor does a process that is none matter.
    let wrong = SessionHookParams { pid: Some(1), ..tool.params("two", HookPoint::Prompt) };
    tool.answer(wrong).await;
    assert_eq!(tool.states().await, NOTHING);
    within(async {
        while tool.home.joined().await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    tool.home.close().await;
}

#[tokio::test]
async fn who_asks_for_messages_waits_and_gets_what_another_session_was_shown() {
    let tool = Tool::new();
    for session in ["one", "two"] {
        tool.shown(session, HookPoint::SessionStart).await;
    }
    let asks = |timeout: Duration| SessionMessagesParams {
        agent: "coder".to_owned(),
        project: PROJECT.to_owned(),
        session: "two".to_owned(),
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap(),
        limit: None,
    };
    let on = LocalConnection::new();
    let none = within(tool.home.agents.session_messages(asks(Duration::ZERO), &on)).await.unwrap();
    assert_eq!(none, SessionMessagesResult::default());
    let reads = async {
        within(async {
            while tool.states().await != ["one Idle", "two Waiting"] {
                tokio::task::yield_now().await;
            }
        })
        .await;
        tool.say("a").await;
    };
    let waits = tool.home.agents.session_messages(asks(LIMIT), &on);
    let (waited, ()) = tokio::join!(within(waits), reads);
    let waited = waited.unwrap().messages;
    assert_eq!(texts(&waited), ["a"]);
    tool.mark("two", &waited).await;

    // What is unread is claimed by one; two gets it once that one was shown it.
    tool.say("b").await;
    let held = tool.look("one", HookPoint::Step, &tool.on).await;
    assert_eq!(texts(&held), ["a", "b"]);
    let waits = tool.home.agents.session_messages(asks(LIMIT), &on);
    let marks = async {
        within(async {
            while !tool.states().await.contains(&"two Waiting".to_owned()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        tool.mark("one", &held).await;
    };
    let (waited, ()) = tokio::join!(within(waits), marks);
    assert_eq!(texts(&waited.unwrap().messages), ["b"]);
    tool.home.close().await;
}

#[tokio::test]
async fn a_session_without_an_id_of_its_tool_gets_it_after_a_restart_of_the_daemon() {
    let tool = Tool::new();
    let params = SessionStartParams {
        agent: "coder".to_owned(),
        project: PROJECT.to_owned(),
        pid: tool.process.pid(),
        connection: true,
        join: true,
        ..SessionStartParams::default()
    };
    within(tool.home.agents.session_start(params, &tool.on)).await.unwrap();
    let Tool { home, directory, process, on } = tool;
    home.close().await;
    let tool = Tool { home: Home::open(directory.path()), directory, process, on };
    tool.answer(tool.params("one", HookPoint::Prompt)).await;
    assert_eq!(tool.states().await, ["one Working"]);
    tool.home.close().await;
}

#[tokio::test]
async fn messages_that_are_gone_are_not_shown_to_other_sessions() {
    let tool = Tool::new();
    for session in ["one", "two"] {
        tool.shown(session, HookPoint::SessionStart).await;
    }
    tool.say("a").await;
    let sent = tool.home.say("planner", &["coder"], "b").await;
    assert_eq!(tool.shown("one", HookPoint::Prompt).await, ["a", "b"]);
    let delete = thrum_api::local::MessageDeleteParams {
        agent: "planner".to_owned(),
        message: thrum_api::event::EventRef { event_id: sent.event_id, origin_daemon: here() },
    };
    within(tool.home.agents.delete(delete)).await.unwrap();
    let two = tool.answer(tool.params("two", HookPoint::Prompt)).await;
    assert_eq!((texts(&two.messages), two.left), (strings(&["a"]), 0));
    tool.home.close().await;
}

#[tokio::test]
async fn fifty_sessions_of_an_agent_are_each_shown_each_message() {
    let tool = Tool::new();
    let ids: Vec<String> = (0..50).map(|number| format!("s{number:02}")).collect();
    for id in &ids {
        tool.answer(tool.params(id, HookPoint::SessionStart)).await;
    }
    assert_eq!(tool.states().await.len(), 50);
    tool.say("a").await;
    within(tool.home.agents.send(thrum_api::local::MessageSendParams {
        all: true,
        ..super::home::message_params("planner", &[], "b")
    }))
    .await
    .unwrap();
    for id in &ids {
        assert_eq!(tool.shown(id, HookPoint::Step).await, ["a", "b"], "{id}");
        assert_eq!(tool.shown(id, HookPoint::Step).await, NOTHING, "{id}");
    }
    tool.home.close().await;
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
