//! Conversations: answers, threads, single messages, and those that were deleted.

use thrum_api::ErrorCode;
use thrum_api::event::EventRef;
use thrum_api::local::{
    Message, MessageDeleteParams, MessageFindParams, MessageSendParams, MessageShowParams,
    MessageThreadParams,
};

use super::super::directory::FIND_INBOX;
use super::home::{Home, message_params, within};
use super::*;
use crate::testing::statement_runs;

fn of(number: u64, origin_daemon: DaemonId) -> EventRef {
    EventRef { event_id: id(number), origin_daemon }
}

fn answer(sequence: u64, from: &str, parent: EventRef, root: EventRef) -> SequencedEvent {
    let body = json!({
        "from": from, "to": ["a"], "text": format!("number {sequence}"),
        "reply_to": parent, "thread": root,
    });
    event(sequence, there(), Some(PROJECT), "message.sent", &body)
}

fn deleted(sequence: u64, origin: DaemonId, from: &str, of: u64) -> SequencedEvent {
    let body = json!({ "from": from, "event_id": id(of) });
    event(sequence, origin, Some(PROJECT), "message.deleted", &body)
}

fn page(message: EventRef, after: Option<u64>, limit: u32) -> MessageThreadParams {
    let (agent, limit) = ("a".to_owned(), Some(limit));
    MessageThreadParams { agent, message, after: after.map(Sequence), limit }
}

/// Sequences of a page of a conversation, and how many messages are left.
fn thread(views: &Views, params: &MessageThreadParams) -> (Vec<u64>, u64) {
    let thread = views.store.thread(&views.log, &params.agent, params).unwrap();
    (thread.messages.iter().map(|message| message.sequence.0).collect(), thread.left)
}

#[test]
fn a_conversation_is_shown_from_any_of_its_messages_and_page_by_page() {
    let mut views = Views::new();
    let root = of(5, there());
    // The first message comes after two of its answers.
    let events = [
        answer(3, "b", root, root),
        answer(4, "c", of(3, there()), root),
        message_to(5, there(), "b", &["a"]),
        answer(6, "b", root, root),
        answer(7, "b", root, root),
    ];
    let cursor = views.digest(&events[..2], start());
    assert_eq!(thread(&views, &page(of(4, there()), None, 9)), (vec![3, 4], 0));
    assert_eq!(thread(&views, &page(root, None, 9)), (vec![3, 4], 0), "it isn't here yet");
    views.digest(&events[2..], cursor);
    for message in [3, 4, 5, 6, 7].map(|n| of(n, there())) {
        assert_eq!(thread(&views, &page(message, None, 9)), (vec![5, 3, 4, 6, 7], 0));
    }
    for limit in [1, 2] {
        assert_eq!(thread(&views, &page(root, None, limit)), (vec![5, 3], 3));
        assert_eq!(thread(&views, &page(root, Some(3), limit)), (vec![4, 6], 1));
    }
    assert_eq!(thread(&views, &page(root, Some(6), 2)), (vec![7], 0));
    assert_eq!(thread(&views, &page(root, Some(7), 2)), (vec![], 0));
    views.mark_read("a", &[id(4)]);
    let shown = views.store.thread(&views.log, "a", &page(root, None, 9)).unwrap();
    let unread: Vec<u64> =
        shown.messages.iter().filter(|message| !message.read).map(|it| it.sequence.0).collect();
    assert_eq!(unread, [5, 3, 6, 7]);
    assert!(views.store.thread(&views.log, "a", &page(of(99, there()), None, 9)).is_err());
    // The same id of another daemon is another message.
    assert!(views.store.thread(&views.log, "a", &page(of(5, here()), None, 9)).is_err());
}

#[test]
fn answers_in_a_circle_are_a_conversation_like_others() {
    let mut views = Views::new();
    let [one, two, three, four] = [1, 2, 3, 4].map(|n| of(n, there()));
    let events = [
        answer(1, "b", two, three),
        answer(2, "b", three, one),
        answer(3, "b", one, two),
        // It answers itself and is its own first message.
        answer(4, "b", four, four),
    ];
    views.digest(&events, start());
    assert_eq!(thread(&views, &page(one, None, 9)), (vec![3, 1], 0));
    assert_eq!(thread(&views, &page(two, None, 9)), (vec![1, 2], 0));
    assert_eq!(thread(&views, &page(four, None, 9)), (vec![4], 0));
    assert_eq!(views.places("a").0, [1, 2, 3, 4]);
}

#[test]
fn a_conversation_of_ten_thousand_is_read_in_pages() {
    let mut views = Views::new();
    let root = of(1, there());
    let mut events = vec![message_to(1, there(), "b", &["a"])];
    events.extend((2..=10_000).map(|n| answer(n, "b", root, root)));
    views.rows.execute_batch("BEGIN").unwrap();
    views.write(&events, |_| false);
    views.rows.execute_batch("COMMIT").unwrap();
    views.digest(&events[9_999..], start());
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (messages, left) = thread(&views, &page(root, after, 5000));
        assert!(messages.len() <= 1000);
        after = messages.last().copied();
        seen.extend(messages);
        assert_eq!(seen.len() as u64 + left, 10_000);
        if left == 0 {
            break;
        }
    }
    assert_eq!(seen, (1..=10_000).collect::<Vec<u64>>());
}

#[test]
fn a_tombstone_counts_for_the_same_daemon_and_sender_whenever_it_comes() {
    let mut views = Views::new();
    let root = of(2, there());
    let events = [
        joined(1, here(), "a"),
        message_to(2, there(), "b", &["a"]),
        message_to_all(3, there(), "b"),
        message_to_all(4, there(), "b"),
        answer(5, "b", root, root),
        // Of another sender, and of another daemon.
        deleted(6, there(), "c", 2),
        deleted(7, here(), "b", 2),
        // Before the message, in an earlier page.
        deleted(8, there(), "b", 9),
        message_to(9, there(), "b", &["a"]),
        message_to_all(10, there(), "b"),
    ];
    let cursor = views.digest(&events[..7], start());
    let cursor = views.digest(&events[7..], cursor);
    assert_eq!(views.places("a"), (vec![2, 3, 4, 5, 10], vec![2, 3, 4, 5, 10]));
    views.mark_read("a", &[id(3)]);
    let later = [
        deleted(11, there(), "b", 2),
        deleted(12, there(), "b", 3),
        deleted(13, there(), "b", 4),
        deleted(14, there(), "b", 4),
    ];
    let cursor = views.digest(&later, cursor);
    assert_eq!(views.places("a"), (vec![5, 10], vec![5, 10]));
    assert_eq!(thread(&views, &page(root, None, 9)), (vec![5], 0));
    views.digest(&[deleted(15, there(), "b", 5)], cursor);
    assert_eq!(views.places("a"), (vec![10], vec![10]));
    assert!(views.store.thread(&views.log, "a", &page(root, None, 9)).is_err(), "nothing is left");
    let kept = views.places("a");
    views.reset().unwrap();
    views.digest(&[deleted(15, there(), "b", 5)], start());
    assert_eq!(views.places("a"), kept);
}

#[test]
fn each_message_of_an_id_is_looked_at_once_however_many_have_deleted_it() {
    const MESSAGES: u64 = 500;
    let mut views = Views::new();
    // As an origin may write that gives one id to many.
    let of_one_id = |sequence| {
        let message = message_to(sequence, there(), "b0", &["a"]);
        let mut value: serde_json::Value = serde_json::from_str(message.event.get()).unwrap();
        value["event_id"] = json!(id(1));
        SequencedEvent { event: serde_json::value::to_raw_value(&value).unwrap(), ..message }
    };
    let messages: Vec<_> = (1..=MESSAGES).map(of_one_id).collect();
    let cursor = views.digest(&messages, start());
    assert_eq!(views.places("a").0.len(), 500);
    let deletion = |n| deleted(MESSAGES + 1 + n, there(), &format!("b{n}"), 1);
    let deletions: Vec<_> = (0..200).map(deletion).collect();
    let before = statement_runs(&views.connection, FIND_INBOX);
    views.digest(&deletions, cursor);
    assert_eq!(views.places("a").0, Vec::<u64>::new());
    let runs = statement_runs(&views.connection, FIND_INBOX) - before;
    // For each message its sender and its recipient, for each deletion its sender; and to look into the inbox.
    assert!((1000..1250).contains(&runs), "{runs}");
}

async fn reply(home: &Home, from: &str, to: &Message, text: &str) -> EventRef {
    let reply_to = Some(to.event());
    let params = MessageSendParams { reply_to, ..message_params(from, &[], text) };
    let sent = within(home.agents.send(params)).await.unwrap();
    EventRef { event_id: sent.event_id, origin_daemon: here() }
}

async fn show(home: &Home, agent: &str, message: EventRef) -> Message {
    let params = MessageShowParams { agent: agent.to_owned(), message };
    within(home.agents.show(params)).await.unwrap().message
}

#[tokio::test]
async fn an_answer_goes_to_the_sender_on_its_machine_and_keeps_the_conversation() {
    let (_directory, home) = Home::new();
    home.apply(vec![message_to(1, there(), "boss", &["a"])]).await;
    let first = show(&home, "a", of(1, there())).await;
    let second = reply(&home, "a", &first, "yes").await;
    let second = show(&home, "a", second).await;
    assert_eq!(second.to, [format!("boss@{}", there())]);
    assert_eq!((second.reply_to, second.thread), (Some(first.event()), Some(first.event())));
    // To its own answer: it goes on, to the same one.
    let third = reply(&home, "a", &second, "and no").await;
    let third = show(&home, "a", third).await;
    assert_eq!(third.to, second.to);
    assert_eq!((third.reply_to, third.thread), (Some(second.event()), Some(first.event())));
    let params = MessageThreadParams {
        agent: "a".to_owned(),
        message: third.event(),
        after: None,
        limit: None,
    };
    let thread = within(home.agents.thread(params)).await.unwrap();
    let ids: Vec<_> = thread.messages.iter().map(Message::event).collect();
    assert_eq!(ids, [first.event(), second.event(), third.event()]);
    let params = MessageShowParams { agent: "a".to_owned(), message: first.event() };
    assert_eq!(within(home.agents.show(params)).await.unwrap().replies, 2);
    // One to all goes on to all.
    let to_all = MessageSendParams { all: true, ..message_params("a", &[], "all") };
    let sent = within(home.agents.send(to_all)).await.unwrap();
    let all = EventRef { event_id: sent.event_id, origin_daemon: here() };
    let again = reply(&home, "a", &show(&home, "a", all).await, "still all").await;
    assert!(show(&home, "a", again).await.all);
    let elsewhere = MessageSendParams {
        reply_to: Some(first.event()),
        project: "other".to_owned(),
        ..message_params("a", &["b"], "what?")
    };
    let error = within(home.agents.send(elsewhere)).await.unwrap_err().to_rpc();
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{error}");
    let missing = MessageSendParams {
        reply_to: Some(of(99, there())),
        ..message_params("a", &["b"], "what?")
    };
    let error = within(home.agents.send(missing)).await.unwrap_err().to_rpc();
    assert_eq!(error.code, ErrorCode::NOT_FOUND);
    home.close().await;
}

#[tokio::test]
async fn only_ones_own_message_of_this_machine_can_be_deleted() {
    let (_directory, home) = Home::new();
    home.apply(vec![message_to(1, there(), "a", &["b"])]).await;
    let sent = home.say("a", &["b"], "oops").await;
    let own = EventRef { event_id: sent.event_id, origin_daemon: here() };
    let delete = |agent: &str, message| {
        let params = MessageDeleteParams { agent: agent.to_owned(), message };
        within(home.agents.delete(params))
    };
    for (agent, message) in [("b", own), ("a", of(1, there()))] {
        let error = delete(agent, message).await.unwrap_err().to_rpc();
        assert_eq!(error.code, ErrorCode::REFUSED, "{error}");
    }
    assert!(delete("a", of(9, here())).await.is_err());
    let before = home.log.head().position.sequence.0;
    for _ in 0..2 {
        delete("a", own).await.unwrap();
        assert_eq!(home.inbox("b").await, ["number 1*"]);
    }
    assert_eq!(home.log.head().position.sequence.0, before + 1, "once is enough");
    let params = MessageShowParams { agent: "b".to_owned(), message: own };
    let error = within(home.agents.show(params)).await.unwrap_err().to_rpc();
    assert!(error.message.contains("deleted"), "{error}");
    let reply = MessageSendParams { reply_to: Some(own), ..message_params("b", &[], "what?") };
    assert!(within(home.agents.send(reply)).await.is_err());
    home.close().await;
}

#[tokio::test]
async fn a_message_is_found_by_the_end_of_its_id_among_those_that_the_agent_knows() {
    let (_directory, home) = Home::new();
    let find = |agent: &str, typed: &str| {
        let (agent, id) = (agent.to_owned(), typed.to_owned());
        within(home.agents.find(MessageFindParams { agent, project: None, id }))
    };
    let sent = home.say("a", &["b"], "one").await;
    let all = MessageSendParams { all: true, ..message_params("b", &[], "to all") };
    let to_all = within(home.agents.send(all)).await.unwrap();
    let full = sent.event_id.to_string();
    for agent in ["a", "b"] {
        for typed in [&full[20..], &full[22..], full.as_str(), &full.to_lowercase()] {
            assert_eq!(find(agent, typed).await.unwrap().text, "one", "{agent} {typed}");
        }
        let typed = to_all.event_id.to_string();
        assert_eq!(find(agent, &typed[20..]).await.unwrap().text, "to all");
    }
    let within_project = async |project: &str| {
        let (agent, id) = ("c".to_owned(), full.clone());
        let params = MessageFindParams { agent, project: Some(project.to_owned()), id };
        within(home.agents.find(params)).await
    };
    assert_eq!(within_project(PROJECT).await.unwrap().text, "one");
    let elsewhere = within_project("elsewhere").await.unwrap_err().to_rpc();
    assert_eq!(elsewhere.code, ErrorCode::NOT_FOUND, "a whole id is of the project, too");
    let stranger = find("c", &full[20..]).await.unwrap_err().to_rpc();
    assert_eq!(stranger.code, ErrorCode::NOT_FOUND);
    assert_eq!(find("c", &full).await.unwrap().text, "one", "a whole id is no guess");
    for wrong in ["", "abc", "....", "no id", "\u{202e}abcd"] {
        assert_eq!(find("a", wrong).await.unwrap_err().to_rpc().code, ErrorCode::INVALID_PARAMS);
    }
    // Ids of others may end alike.
    home.apply(vec![message_to(1, there(), "x", &["a"])]).await;
    let mut twin = message_to(2, daemon(3), "y", &["a"]);
    let mut value: serde_json::Value = serde_json::from_str(twin.event.get()).unwrap();
    value["event_id"] = json!(id((1 << 40) + 1));
    twin.event = serde_json::value::to_raw_value(&value).unwrap();
    home.apply(vec![twin]).await;
    let error = find("a", "000001").await.unwrap_err().to_rpc();
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
    assert!(error.message.contains("2 messages"), "{error}");
    home.close().await;
}

#[tokio::test]
async fn an_answer_goes_to_the_successor_of_the_machine_that_the_message_came_from() {
    let (_directory, home) = Home::new();
    let former = [(there(), daemon(3))];
    home.agents.know_machines(std::sync::Arc::new(move || {
        super::super::reach::Machines::new([].into(), former.into())
    }));
    home.apply(vec![message_to(1, there(), "b", &["a"])]).await;
    let parent = of(1, there());
    let sent = MessageSendParams { reply_to: Some(parent), ..message_params("a", &[], "to you") };
    within(home.agents.send(sent)).await.unwrap();
    let sent = home.of_type("message.sent").await.pop().unwrap();
    assert_eq!(sent.body["to"], json!([format!("b@{}", daemon(3))]));
    home.close().await;
}
