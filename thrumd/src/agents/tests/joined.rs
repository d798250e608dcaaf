//! Programs of a tool that join its session.

use thrum_api::event::{Reach, SessionInfo, SessionState};
use thrum_api::local::{
    HookPoint, SessionMessagesParams, SessionStartParams, SessionUpdateParams, SessionWakeParams,
};

use super::super::LocalConnection;
use super::home::{LIMIT, within};
use super::turns::{NOTHING, Tool, texts};
use super::*;

impl Tool {
    fn joins(&self, session: Option<&str>) -> SessionStartParams {
        SessionStartParams {
            agent: "coder".to_owned(),
            project: PROJECT.to_owned(),
            session: session.map(str::to_owned),
            pid: self.process.pid(),
            connection: true,
            join: true,
            state: Some(SessionState::Idle),
            ..SessionStartParams::default()
        }
    }

    async fn join(&self, params: SessionStartParams, on: &LocalConnection) -> SessionInfo {
        within(self.home.agents.session_start(params, on)).await.unwrap().session
    }
}

#[tokio::test]
async fn the_session_of_the_hooks_is_joined_as_it_is_and_outlives_who_joined() {
    let mut tool = Tool::new();
    tool.shown("hooks", HookPoint::Prompt).await;
    for named in [None, Some("hooks"), Some("of-another-time")] {
        let on = LocalConnection::new();
        let joined = tool.join(tool.joins(named), &on).await;
        assert_eq!((joined.id.as_str(), joined.state), ("hooks", SessionState::Working));
        on.close();
    }
    tokio::task::yield_now().await;
    assert_eq!(tool.states().await, ["hooks Working"]);
    tool.process.end();
    tool.until_states(&[]).await;
    tool.home.close().await;
}

#[tokio::test]
async fn without_hooks_a_session_lives_as_long_as_both_the_process_and_the_connection() {
    let tool = Tool::new();
    let on = LocalConnection::new();
    let id = tool.join(tool.joins(None), &on).await.id;
    assert_eq!(tool.states().await, [format!("{id} Idle")]);
    assert_eq!(tool.join(tool.joins(None), &LocalConnection::new()).await.id, id, "joined");
    on.close();
    tool.until_states(&[]).await;
    let mut tool = tool;
    tool.join(tool.joins(Some("named")), &LocalConnection::new()).await;
    tool.process.end();
    tool.until_states(&[]).await;
    // A process of another place can't be watched: the connection keeps it.
    let elsewhere = SessionStartParams { pid: Some(u32::MAX), ..tool.joins(Some("x")) };
    tool.join(elsewhere, &LocalConnection::new()).await;
    assert_eq!(tool.states().await, ["x Idle"]);
    tool.home.close().await;
}

#[tokio::test]
async fn a_hook_gives_a_session_the_id_of_its_tool_and_the_old_one_goes_on_to_mean_it() {
    let tool = Tool::new();
    let on = LocalConnection::new();
    let id = tool.join(tool.joins(None), &on).await.id;
    let asks = SessionMessagesParams {
        agent: "coder".to_owned(),
        project: PROJECT.to_owned(),
        session: id.clone(),
        timeout_ms: u64::try_from(LIMIT.as_millis()).unwrap(),
        limit: None,
    };
    let waits = tool.home.agents.session_messages(asks.clone(), &on);
    let names = async {
        tool.until_states(&[&format!("{id} Waiting")]).await;
        tool.shown("hooks", HookPoint::SessionStart).await;
        assert_eq!(tool.states().await, ["hooks Waiting"]);
        tool.say("a").await;
    };
    let (waited, ()) = tokio::join!(within(waits), names);
    let waited = waited.unwrap().messages;
    assert_eq!(texts(&waited), ["a"]);
    tool.until_states(&["hooks Idle"]).await;
    // By either id it is one session: another one is shown it, and this one is not again.
    tool.shown("other", HookPoint::SessionStart).await;
    tool.mark(&id, &waited).await;
    assert_eq!(tool.shown("hooks", HookPoint::Step).await, NOTHING);
    assert_eq!(tool.shown("other", HookPoint::Step).await, ["a"]);
    let update = SessionUpdateParams {
        agent: "coder".to_owned(),
        project: PROJECT.to_owned(),
        session: Some(id.clone()),
        task: Some("tests".to_owned()),
        ..SessionUpdateParams::default()
    };
    let updated = tool.home.agents.session_update(&update).unwrap().session;
    assert_eq!((updated.id.as_str(), updated.task.as_deref()), ("hooks", Some("tests")));
    // Now the process alone keeps it.
    on.close();
    tokio::task::yield_now().await;
    assert_eq!(tool.states().await, ["hooks Working", "other Working"]);
    // Only a session without an id of its tool is renamed.
    assert_eq!(tool.join(tool.joins(Some(&id)), &LocalConnection::new()).await.id, "hooks");
    tool.answer(tool.params("hooks", HookPoint::SessionEnd)).await;
    assert!(tool.home.agents.session_update(&update).is_err());
    tool.home.close().await;
}

#[tokio::test]
async fn a_program_that_learns_the_id_of_its_tool_gives_it_to_its_session() {
    let tool = Tool::new();
    let on = LocalConnection::new();
    let old = tool.join(tool.joins(None), &on).await.id;
    for named in [Some("thread"), None, Some("thread"), Some(&old)] {
        assert_eq!(tool.join(tool.joins(named), &on).await.id, "thread", "{named:?}");
    }
    assert_eq!(tool.join(tool.joins(Some("second")), &on).await.id, "thread", "of one process");
    assert_eq!(tool.states().await, ["thread Idle"]);
    on.close();
    tool.until_states(&[]).await;
    tool.home.close().await;
}

#[tokio::test]
async fn a_session_that_its_tool_begins_anew_is_still_the_one_that_was_joined() {
    let tool = Tool::new();
    let on = LocalConnection::new();
    let old = tool.join(tool.joins(None), &on).await.id;
    tool.shown("before", HookPoint::SessionStart).await;
    tool.answer(tool.params("before", HookPoint::SessionEnd)).await;
    assert_eq!(tool.states().await, NOTHING);
    tool.shown("after", HookPoint::SessionStart).await;
    for id in [&old, "before", "after"] {
        assert_eq!(tool.join(tool.joins(Some(id)), &on).await.id, "after", "{id}");
        let asks = SessionMessagesParams {
            agent: "coder".to_owned(),
            project: PROJECT.to_owned(),
            session: id.to_owned(),
            ..SessionMessagesParams::default()
        };
        tool.say(id).await;
        let got = within(tool.home.agents.session_messages(asks, &tool.on)).await.unwrap();
        tool.mark(id, &got.messages).await;
        assert_eq!(texts(&got.messages), [id]);
        assert_eq!(tool.shown("after", HookPoint::Step).await, NOTHING, "{id}");
    }
    tool.home.close().await;
}

#[tokio::test]
async fn a_session_is_woken_as_long_as_a_program_does_so() {
    let tool = Tool::new();
    tool.shown("hooks", HookPoint::SessionStart).await;
    let wakes = || SessionStartParams { reach: Some(Reach::Wake), ..tool.joins(Some("hooks")) };
    let connections = [LocalConnection::new(), LocalConnection::new()];
    for on in &connections {
        assert_eq!(tool.join(wakes(), on).await.reach, Some(Reach::Wake));
    }
    connections[0].close();
    tokio::task::yield_now().await;
    let reach = || async { tool.join(tool.joins(Some("hooks")), &tool.on).await.reach };
    assert_eq!(reach().await, Some(Reach::Wake));
    connections[1].close();
    let until = async |expected| {
        within(async {
            while reach().await != Some(expected) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    until(Reach::Hooks).await;
    // One that has not joined, and says so by itself.
    let on = LocalConnection::new();
    let update = SessionUpdateParams {
        agent: "coder".to_owned(),
        project: PROJECT.to_owned(),
        session: Some("hooks".to_owned()),
        reach: Some(Reach::Wake),
        ..SessionUpdateParams::default()
    };
    tool.home.agents.session_update(&update).unwrap();
    let wake = SessionWakeParams {
        agent: "coder".to_owned(),
        project: PROJECT.to_owned(),
        session: "hooks".to_owned(),
        timeout_ms: 0,
    };
    within(tool.home.agents.session_wake(wake, &on)).await.unwrap();
    assert_eq!(reach().await, Some(Reach::Wake));
    on.close();
    until(Reach::Hooks).await;
    tool.home.close().await;
}
