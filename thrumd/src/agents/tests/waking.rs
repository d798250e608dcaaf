//! Waking idle sessions.

use std::sync::Arc;
use std::time::Duration;

use thrum_api::event::{EventRef, Reach, Route, SessionState};
use thrum_api::local::{
    HookPoint, SessionHookParams, SessionStartParams, SessionUpdateParams, SessionWakeParams,
    SessionWakeResult,
};

use super::super::{Agents, AgentsParts, LocalConnection, WakeOff};
use super::home::{Home, LIMIT, within};
use super::sessions::Sleeper;
use super::turns::{NOTHING, Tool};
use super::*;
use crate::log::Log;

impl Tool {
    /// What a session is woken for: how many messages, and by whom.
    async fn wakes(&self, session: &str, limit: Duration) -> Option<(String, u64)> {
        let wake = within(self.wake(session, limit)).await.unwrap().wake?;
        Some((wake.session, wake.messages))
    }

    async fn wake(&self, session: &str, limit: Duration) -> Result<SessionWakeResult, AgentsError> {
        let params = SessionWakeParams {
            agent: "coder".to_owned(),
            project: PROJECT.to_owned(),
            session: session.to_owned(),
            timeout_ms: u64::try_from(limit.as_millis()).unwrap(),
        };
        self.home.agents.session_wake(params, &self.on).await
    }

    /// Whether nothing wakes a session now.
    async fn sleeps(&self, session: &str) -> bool {
        self.wakes(session, Duration::ZERO).await.is_none()
    }

    /// A session of the hooks that a program wakes.
    async fn is_woken(&self, session: &str) {
        self.shown(session, HookPoint::SessionStart).await;
        let params = SessionStartParams {
            agent: "coder".to_owned(),
            project: PROJECT.to_owned(),
            session: Some(session.to_owned()),
            connection: true,
            join: true,
            reach: Some(Reach::Wake),
            ..SessionStartParams::default()
        };
        within(self.home.agents.session_start(params, &self.on)).await.unwrap();
    }
}

fn woken(session: &str, messages: u64) -> Option<(String, u64)> {
    Some((session.to_owned(), messages))
}

#[tokio::test]
async fn an_idle_session_is_woken_once_for_what_came_since_it_began() {
    let tool = Tool::new();
    tool.say("before").await;
    tool.is_woken("one").await;
    assert!(tool.sleeps("one").await);
    let waits = tool.wakes("one", LIMIT);
    let (wake, ()) = tokio::join!(waits, tool.say("a"));
    assert_eq!(wake, woken("one", 1));
    tool.say("b").await;
    assert!(tool.sleeps("one").await, "it wakes up");
    let shown = tool.look("one", HookPoint::Prompt, &tool.on).await;
    assert_eq!(super::turns::texts(&shown), ["before", "a", "b"]);
    tool.mark("one", &shown).await;
    assert!(tool.sleeps("one").await);
    tool.shown("one", HookPoint::Stop).await;
    assert!(tool.sleeps("one").await, "what it was shown wakes nobody");
    tool.say("c").await;
    assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1));
    let ended = tool.answer(tool.params("one", HookPoint::SessionEnd)).await;
    assert_eq!(ended.left, 0);
    let gone = within(tool.wake("never", LIMIT)).await.unwrap_err();
    assert_eq!(gone.to_rpc().code, thrum_api::ErrorCode::NOT_FOUND);
    tool.home.close().await;
}

#[tokio::test]
async fn what_comes_while_a_tool_begins_its_session_anew_wakes_that_one() {
    let tool = Tool::new();
    tool.is_woken("before").await;
    tool.answer(tool.params("before", HookPoint::SessionEnd)).await;
    tool.say("between").await;
    tool.shown("after", HookPoint::SessionStart).await;
    assert_eq!(tool.wakes("before", LIMIT).await, woken("after", 1));
    tool.home.close().await;
}

#[tokio::test]
async fn a_message_that_started_a_turn_is_told_so() {
    let tool = Tool::new();
    tool.is_woken("one").await;
    let mut routes = Vec::new();
    for is_woken_for in [true, false] {
        let sent = tool.home.say("planner", &["coder"], "a").await;
        if is_woken_for {
            assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1));
        }
        tool.shown("one", HookPoint::Prompt).await;
        let message = EventRef { event_id: sent.event_id, origin_daemon: here() };
        let status = within(tool.home.agents.delivery(message)).await.unwrap().status;
        routes.push(status.recipients[0].route);
        assert_eq!(status.recipients[0].reach, Some(Reach::Wake));
    }
    assert_eq!(routes, [Some(Route::Wake), Some(Route::Hook)]);
    tool.home.close().await;
}

#[tokio::test]
async fn nobody_is_woken_who_gets_the_message_anyway_and_one_of_several_is() {
    let tool = Tool::new();
    let other = Sleeper::start();
    let of_other = |point| SessionHookParams { pid: other.pid(), ..tool.params("two", point) };
    tool.is_woken("one").await;
    tool.answer(of_other(HookPoint::Prompt)).await;
    tool.say("a").await;
    assert!(tool.sleeps("one").await, "another session works");
    let stop = tool.answer(of_other(HookPoint::Stop)).await;
    tool.mark("two", &stop.messages).await;
    tool.answer(of_other(HookPoint::Step)).await;
    tool.answer(of_other(HookPoint::Stop)).await;
    assert!(tool.sleeps("one").await, "it was read");
    tool.say("b").await;
    let wake = tokio::select! {
        wake = tool.wakes("one", LIMIT) => wake,
        wake = tool.wakes("two", LIMIT) => wake,
    };
    assert_eq!(wake.map(|(_, messages)| messages), Some(1));
    assert!(tool.sleeps("one").await && tool.sleeps("two").await);
    // Its process has them both: the one that was active last is named.
    tool.shown("one", HookPoint::Step).await;
    tool.shown("one", HookPoint::Stop).await;
    let step = tool.answer(of_other(HookPoint::Step)).await;
    tool.mark("two", &step.messages).await;
    tool.answer(of_other(HookPoint::Stop)).await;
    tool.shown("three", HookPoint::Stop).await;
    tool.say("c").await;
    assert_eq!(tool.wakes("one", LIMIT).await, woken("three", 1));
    tool.home.close().await;
}

#[tokio::test]
async fn what_daemons_write_and_what_an_agent_says_to_itself_wakes_nobody() {
    let tool = Tool::new();
    tool.is_woken("one").await;
    let body =
        serde_json::json!({ "from": "planner", "to": ["coder"], "text": "x", "automatic": true });
    tool.home.apply(vec![event(1, there(), Some(PROJECT), "message.sent", &body)]).await;
    tool.home.say("coder", &["coder"], "to myself").await;
    assert!(tool.sleeps("one").await);
    tool.home.apply(vec![message_to(2, there(), "coder", &["coder"])]).await;
    assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1), "one of that name elsewhere");
    let prompt = tool.look("one", HookPoint::Prompt, &tool.on).await;
    assert_eq!(prompt.iter().map(|it| it.automatic).collect::<Vec<_>>(), [true, false, false]);
    tool.home.close().await;
}

#[tokio::test]
async fn many_messages_that_wake_nobody_do_not_hide_one_that_does() {
    let tool = Tool::new();
    tool.is_woken("one").await;
    let body =
        serde_json::json!({ "from": "planner", "to": ["coder"], "text": "x", "automatic": true });
    let written = |number| event(number, there(), Some(PROJECT), "message.sent", &body);
    tool.home.apply((1..=250).map(written).collect()).await;
    assert!(tool.sleeps("one").await);
    // The next ones are looked at, too, although a caller is being shown some of those before.
    let other = LocalConnection::new();
    assert_eq!(tool.look("one", HookPoint::Step, &other).await.len(), 3);
    let idle = SessionUpdateParams {
        agent: "coder".to_owned(),
        project: PROJECT.to_owned(),
        state: Some(SessionState::Idle),
        ..SessionUpdateParams::default()
    };
    tool.home.agents.session_update(&idle).unwrap();
    tool.home.apply((251..=400).map(written).collect()).await;
    tool.say("a").await;
    assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1));
    tool.home.close().await;
}

#[tokio::test]
async fn the_switch_holds_at_once_and_is_seen_by_others() {
    let tool = Tool::new();
    tool.is_woken("one").await;
    let reach = || {
        let shown = tool.home.agents.inner.sessions.look(|book| book.shown(None));
        shown.agents.into_values().next().unwrap().sessions[0].reach
    };
    assert_eq!(reach(), Some(Reach::Wake));
    let off = WakeOff { projects: [PROJECT.to_owned()].into(), ..WakeOff::default() };
    for off in [off, WakeOff { all: true, ..WakeOff::default() }] {
        tool.home.agents.set_wake_off(off);
        assert_eq!(reach(), Some(Reach::Hooks));
        tool.say("a").await;
        assert!(tool.sleeps("one").await);
        let waits = tool.wakes("one", LIMIT);
        let on = async {
            tokio::task::yield_now().await;
            tool.home.agents.set_wake_off(WakeOff::default());
        };
        let (wake, ()) = tokio::join!(waits, on);
        assert_eq!(wake, woken("one", 1));
        assert_eq!(reach(), Some(Reach::Wake));
        tool.shown("one", HookPoint::Prompt).await;
        tool.shown("one", HookPoint::Stop).await;
    }
    let other = WakeOff { projects: ["web".to_owned()].into(), ..WakeOff::default() };
    tool.home.agents.set_wake_off(other);
    tool.say("b").await;
    assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1));
    tool.home.close().await;
}

/// Twenty messages between coder and planner, of which each writes one in its turn.
async fn chat(tool: &Tool) {
    for number in 0..10 {
        tool.say(&number.to_string()).await;
        tool.shown("one", HookPoint::Prompt).await;
        tool.home.say("coder", &["planner"], "yes").await;
    }
    tool.shown("one", HookPoint::Stop).await;
}

#[tokio::test]
async fn two_agents_that_only_answer_each_other_stop_and_are_both_told_once() {
    let tool = Tool::new();
    tool.is_woken("one").await;
    tool.home.say("planner", &["qa"], "hello").await;
    chat(&tool).await;
    let automatic = || async {
        let inbox = tool.home.inbox("planner").await;
        inbox.into_iter().filter(|text| text.contains("no longer wake coder")).count()
    };
    within(async {
        while automatic().await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    tool.say("again").await;
    assert!(tool.sleeps("one").await);
    // Others still wake it, also for what it was not woken for.
    tool.home.say("qa", &["coder"], "and you?").await;
    assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1));
    let prompt = tool.answer(tool.params("one", HookPoint::Prompt)).await;
    assert_eq!((prompt.messages.len(), prompt.notices.len()), (2, 1));
    assert!(prompt.notices[0].contains("planner no longer wake you"), "{:?}", prompt.notices);
    tool.mark("one", &prompt.messages).await;
    tool.shown("one", HookPoint::Stop).await;
    tool.home.say("coder", &["planner"], "one more").await;
    let next = tool.answer(tool.params("one", HookPoint::Prompt)).await;
    assert_eq!((next.notices, automatic().await), (Vec::new(), 1), "once");
    // Work ends it.
    let work = SessionHookParams { work: true, ..tool.params("one", HookPoint::Step) };
    tool.answer(work).await;
    tool.shown("one", HookPoint::Stop).await;
    tool.say("now").await;
    assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1));
    tool.home.close().await;
}

#[tokio::test]
async fn messages_of_an_agent_that_is_not_woken_are_not_counted() {
    let tool = Tool::new();
    tool.shown("one", HookPoint::SessionStart).await;
    chat(&tool).await;
    let prompt = tool.answer(tool.params("one", HookPoint::Prompt)).await;
    assert_eq!(prompt.notices, NOTHING);
    assert!(tool.home.inbox("planner").await.iter().all(|text| text.starts_with("yes")));
    tool.home.close().await;
}

#[tokio::test]
async fn after_a_restart_a_session_is_woken_for_what_it_was_not_shown_before() {
    let tool = Tool::new();
    tool.is_woken("one").await;
    tool.say("a").await;
    assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1));
    let params = tool.params("one", HookPoint::Prompt);
    let Tool { home, directory, process, on } = tool;
    home.close().await;
    let tool = Tool { home: Home::open(directory.path()), directory, process, on };
    assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1));
    tool.say("b").await;
    assert_eq!(tool.answer(params).await.messages.len(), 2);
    tool.home.close().await;
}

#[tokio::test]
async fn what_was_switched_off_before_a_restart_is_off_after_it() {
    let tool = Tool::new();
    tool.is_woken("one").await;
    let Tool { home, directory, process, on } = tool;
    home.close().await;
    let log = Log::open(directory.path(), Arc::new(super::key(1)), false).unwrap().0;
    let wake_off = WakeOff { all: true, ..WakeOff::default() };
    let parts = AgentsParts { wake_off, ..super::home::parts(directory.path(), &log) };
    let agents = Agents::open(parts).unwrap();
    let tool = Tool { home: Home { log, agents }, directory, process, on };
    tool.say("a").await;
    assert!(tool.sleeps("one").await);
    tool.home.agents.set_wake_off(WakeOff::default());
    assert_eq!(tool.wakes("one", LIMIT).await, woken("one", 1));
    tool.home.close().await;
}

#[tokio::test]
async fn senders_are_told_the_best_way_to_an_agent_of_another_machine() {
    let (_directory, home) = Home::new();
    let session = |id: &str, reach: &str| serde_json::json!({ "id": id, "state": "idle", "since": "2020-06-24T15:59:00Z", "reach": reach });
    let told = |sequence, sessions: &[serde_json::Value]| {
        let body = serde_json::json!({ "agent": "coder", "sessions": sessions });
        event(sequence, there(), Some(PROJECT), "agent.sessions", &body)
    };
    let mut reaches = Vec::new();
    for (sequence, sessions) in [
        (1, vec![session("s", "hooks"), session("t", "wake"), session("u", "by-post")]),
        (2, vec![session("s", "hooks"), session("u", "by-post")]),
        (3, vec![]),
    ] {
        home.apply(vec![told(sequence, &sessions)]).await;
        home.is_digested().await;
        let sent = home.say("planner", &["coder"], "hello").await;
        let message = EventRef { event_id: sent.event_id, origin_daemon: here() };
        let status = within(home.agents.delivery(message)).await.unwrap().status;
        assert_eq!(sent.recipients[0].reach, status.recipients[0].reach);
        reaches.push(status.recipients[0].reach);
    }
    assert_eq!(reaches, [Some(Reach::Wake), Some(Reach::Hooks), None]);
    home.close().await;
}

#[tokio::test]
async fn a_wait_for_a_wake_ends_with_the_daemon() {
    let tool = Tool::new();
    tool.is_woken("one").await;
    let agents = tool.home.agents.clone();
    let (wake, ()) = tokio::join!(tool.wake("one", LIMIT), agents.close());
    assert!(matches!(wake.unwrap_err(), AgentsError::Stopping));
    tool.home.log.close().await.unwrap();
}
