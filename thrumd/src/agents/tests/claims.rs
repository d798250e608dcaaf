//! Several callers that wait for one agent and claim.

use std::time::Duration;

use thrum_api::local::{AgentListParams, AgentState, MarkReadParams, Message, WaitParams};

use super::super::LocalConnection;
use super::home::{Home, LIMIT, waiter, within};
use super::*;

fn claiming(limit: u32, timeout: Duration) -> WaitParams {
    WaitParams { claim: true, limit: Some(limit), ..waiter("coder", timeout) }
}

/// The texts that a caller gets, without waiting for more.
async fn claim(home: &Home, on: &LocalConnection, limit: u32) -> Vec<String> {
    let params = claiming(limit, Duration::ZERO);
    let waited = within(home.agents.wait_on(on, params)).await.unwrap();
    waited.messages.into_iter().map(|message| message.text).collect()
}

fn ids(messages: &[Message]) -> Vec<EventId> {
    messages.iter().map(|message| message.event_id).collect()
}

/// Returns when a caller has looked, found nothing and waits.
async fn has_begun_to_wait(home: &Home) {
    loop {
        let agents = home.agents.list(AgentListParams::default()).await.unwrap();
        if agents.iter().any(|agent| agent.state == AgentState::Waiting) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn each_message_is_for_one_of_those_that_claim_until_it_is_read_or_given_back() {
    let (_directory, home) = Home::new();
    for text in ["1", "2", "3"] {
        home.say("planner", &["coder"], text).await;
    }
    let [one, two] = [LocalConnection::new(), LocalConnection::new()];
    assert_eq!(claim(&home, &one, 2).await, ["1", "2"]);
    assert_eq!(claim(&home, &one, 2).await, ["1", "2"], "its own again");
    assert_eq!(claim(&home, &two, 2).await, ["3"]);
    assert_eq!(home.inbox("coder").await, ["1*", "2*", "3*"], "others see all");
    let all = within(home.agents.wait_on(&two, waiter("coder", LIMIT))).await.unwrap();
    assert_eq!(all.messages.len(), 3, "one who does not claim gets all");

    home.mark_read("coder", ids(&all.messages[..1])).await;
    // Who waits gets what is given back.
    let waits = within(home.agents.wait_on(&two, claiming(1, LIMIT)));
    home.mark_read("coder", ids(&all.messages[2..])).await;
    let (waited, ()) = tokio::join!(waits, async {
        within(has_begun_to_wait(&home)).await;
        one.close();
    });
    assert_eq!(waited.unwrap().messages[0].text, "2");
    assert_eq!(claim(&home, &LocalConnection::new(), 9).await, [""; 0]);

    // What the answer to a closed connection would have claimed is free at once.
    two.close();
    let late = LocalConnection::new();
    late.close();
    claim(&home, &late, 9).await;
    let third = LocalConnection::new();
    let waited = within(home.agents.wait_on(&third, claiming(9, LIMIT))).await.unwrap();
    assert_eq!(waited.messages[0].text, "2");
    home.mark_read("coder", ids(&waited.messages)).await;
    home.close().await;
}

#[tokio::test]
async fn a_new_message_goes_to_one_of_many_that_wait() {
    let (_directory, home) = Home::new();
    let connections: Vec<_> = (0..8).map(|_| LocalConnection::new()).collect();
    let waits = connections.iter().map(|on| {
        let home = &home;
        async move {
            let params = claiming(1, LIMIT);
            let messages = within(home.agents.wait_on(on, params)).await.unwrap().messages;
            home.mark_read("coder", ids(&messages)).await;
            messages[0].text.clone()
        }
    });
    let send = async {
        for number in 0..8 {
            home.say("planner", &["coder"], &number.to_string()).await;
        }
    };
    let (mut got, ()) = tokio::join!(futures_util::future::join_all(waits), send);
    got.sort();
    assert_eq!(got, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    home.close().await;
}

#[tokio::test]
async fn who_reads_a_message_of_one_daemon_keeps_the_claim_of_another_one_with_its_id() {
    let (_directory, home) = Home::new();
    let two = [there(), daemon(3)].map(|origin| message_to(1, origin, "planner", &["coder"]));
    home.apply(two.to_vec()).await;
    let on = LocalConnection::new();
    assert_eq!(claim(&home, &on, 9).await.len(), 2);
    let message = MessageRef { event_id: id(1), origin_daemon: Some(there()) };
    let params = MarkReadParams {
        agent: "coder".to_owned(),
        messages: vec![message],
        ..MarkReadParams::default()
    };
    within(home.agents.mark_read(params)).await.unwrap();
    assert_eq!(claim(&home, &LocalConnection::new(), 9).await, [""; 0]);
    assert_eq!(claim(&home, &on, 9).await.len(), 1, "its own still");
    home.close().await;
}
