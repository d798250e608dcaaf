//! Agents that are announced while the views are behind.

use std::future::Future as _;
use std::task::{Context, Waker};

use thrum_api::local::AgentRegisterParams;

use super::home::{Home, within};
use super::*;

fn register_of(about: &str) -> AgentRegisterParams {
    AgentRegisterParams {
        agent: "coder".to_owned(),
        project: PROJECT.to_owned(),
        about: Some(about.to_owned()),
    }
}

#[tokio::test]
async fn a_new_name_joins_while_an_announcement_waits_for_the_views() {
    let (_directory, home) = Home::new();
    home.inbox("coder").await;
    // Nothing is digested until this is dropped.
    let (busy, until) = std::sync::mpsc::channel::<()>();
    let (begins, began) = tokio::sync::oneshot::channel();
    let agents = home.agents.clone();
    let work = tokio::spawn(async move {
        let rest = move |_: &mut Store| {
            begins.send(()).ok();
            until.recv().ok();
            Ok(())
        };
        agents.call(rest).await
    });
    within(began).await.unwrap();
    home.apply(vec![joined(1, there(), "planner")]).await;
    let agents = home.agents.clone();
    let mut register = Box::pin(agents.register(register_of("builds")));
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(register.as_mut().poll(&mut nobody).is_pending());
    within(home.agents.join(PROJECT, "another", None)).await.unwrap();
    drop(busy);
    within(work).await.unwrap().unwrap();
    let (agent, _) = within(&mut register).await.unwrap();
    assert_eq!(agent.about.as_deref(), Some("builds"));
    drop(register);
    home.close().await;
}

#[tokio::test]
async fn many_announcements_of_a_new_name_at_once_write_it_once() {
    let (_directory, home) = Home::new();
    let all = (0..8).map(|_| home.agents.register(register_of("builds")));
    for done in within(futures_util::future::join_all(all)).await {
        assert_eq!(done.unwrap().0.about.as_deref(), Some("builds"));
    }
    assert_eq!(home.joined().await, ["coder"]);
    home.close().await;
}
