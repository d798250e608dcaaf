//! Inboxes and waits with filters.

use std::time::Duration;

use arbtest::arbitrary::Result;
use futures_util::FutureExt as _;
use thrum_api::Timestamp;
use thrum_api::event::EventRef;
use thrum_api::local::{InboxParams, MessageSendParams, WaitParams};

use super::super::filter::{Filter, ROWS_MAX};
use super::home::{Home, LIMIT, message_params, reader, waiter, within};
use super::*;

fn of(number: u64) -> EventRef {
    EventRef { event_id: id(number), origin_daemon: there() }
}

fn filter(from: Option<&str>, thread: Option<EventRef>, any: bool) -> Option<Filter> {
    Filter::new(from, None, thread, any).unwrap()
}

fn sequences(messages: &[thrum_api::local::Message]) -> Vec<u64> {
    messages.iter().map(|message| message.sequence.0).collect()
}

#[test]
fn a_filtered_look_is_the_unfiltered_one_without_what_does_not_match() {
    arbtest::arbtest(|u| {
        let mut views = Views::new();
        let count = u.int_in_range(2..=20)?;
        let mut events = vec![joined(1, here(), "reader")];
        for n in 2..=count {
            let mut body = json!({ "from": u.choose(&["a", "b"])?, "text": "t" });
            match u.arbitrary()? {
                true => body["all"] = json!(true),
                false => body["to"] = json!(["reader"]),
            }
            if u.ratio(1, 2)? {
                body["reply_to"] = json!(of(u.int_in_range(2..=count)?));
                body["thread"] = json!(of(2));
            }
            let origin = *u.choose(&[there(), there(), daemon(3)])?;
            events.push(event(n, origin, Some(PROJECT), "message.sent", &body));
        }
        views.digest(&events, start());
        let read: Vec<EventId> =
            (2..=count).filter(|_| u.arbitrary().unwrap_or(false)).map(id).collect();
        views.mark_read("reader", &read);
        let whole = views.inbox(&query("reader", Some(PROJECT))).messages;
        let there = there();
        let from = *u.choose(&[None, Some("a"), Some("b")])?;
        let daemon = if u.arbitrary()? { Some(there) } else { None };
        let thread = if u.arbitrary()? { Some(of(2)) } else { None };
        let (any, limit) = (u.arbitrary()?, u.int_in_range(1..=20)?);
        let text = from.map(|from| match daemon {
            Some(daemon) => format!("{from}@{daemon}"),
            None => from.to_owned(),
        });
        let matches = |message: &&thrum_api::local::Message| {
            let is_from = from.map(|from| {
                message.from == from && daemon.is_none_or(|it| it == message.origin_daemon)
            });
            let is_of = thread.map(|root| message.event() == root || message.thread == Some(root));
            match (is_from, is_of) {
                (Some(from), Some(of)) if any => from || of,
                (from, of) => from.unwrap_or(true) && of.unwrap_or(true),
            }
        };
        let all: Vec<u64> = whole.iter().filter(matches).map(|it| it.sequence.0).collect();
        let unread = whole.iter().filter(|it| !it.read).filter(matches);
        let unread: Vec<u64> = unread.map(|it| it.sequence.0).take(limit).collect();
        let looked = |limit, unread_only| {
            let filter = filter(text.as_deref(), thread, any);
            let query = InboxQuery { limit, unread_only, filter, ..query("reader", Some(PROJECT)) };
            sequences(&views.inbox(&query).messages)
        };
        assert_eq!(looked(100, false), all);
        assert_eq!(looked(limit, true), unread);
        let query = InboxQuery {
            limit,
            filter: filter(text.as_deref(), thread, any),
            ..query("reader", Some(PROJECT))
        };
        // Who looks again finds the same.
        for _ in 0..2 {
            let waited = views.oldest_unread(&views.log, &query).unwrap().result;
            assert_eq!(sequences(&waited.messages), unread);
        }
        Result::Ok(())
    })
    .budget_ms(3_000);
}

#[test]
fn a_look_reads_a_bounded_number_of_rows_and_a_wait_goes_on_behind_them() {
    let mut views = Views::new();
    let count = 2 * u64::try_from(ROWS_MAX).unwrap() + 700;
    let mut events: Vec<_> = (1..count).map(|n| message_to(n, there(), "other", &["x"])).collect();
    events.push(message_to(count, there(), "boss", &["x"]));
    views.rows.execute_batch("BEGIN").unwrap();
    views.write(&events, |_| false);
    views.rows.execute_batch("COMMIT").unwrap();
    let cursor = views.digest(&events[events.len() - 1..], start());
    let of_boss =
        || InboxQuery { filter: filter(Some("boss"), None, false), ..query("x", Some(PROJECT)) };
    assert_eq!(views.inbox(&of_boss()).messages, [], "it is beyond what one call reads");
    let waits = of_boss();
    let looked = |views: &Views| {
        let found = views.oldest_unread(&views.log, &waits).unwrap().result;
        let filter = waits.filter.as_ref().unwrap();
        (sequences(&found.messages), filter.has_more())
    };
    assert_eq!(looked(&views), (vec![], true));
    assert_eq!(looked(&views), (vec![], true));
    assert_eq!(looked(&views), (vec![count], false));
    assert_eq!(looked(&views), (vec![count], false), "it stays until it is read");
    views.mark_read("x", &[id(count)]);
    for _ in 0..2 {
        assert_eq!(looked(&views), (vec![], false));
    }
    views.digest(&[message_to(count + 1, there(), "boss", &["x"])], cursor);
    assert_eq!(looked(&views), (vec![count + 1], false));
    // A conversation is found wherever it is.
    let thread = filter(None, Some(of(count + 1)), false);
    let thread = InboxQuery { filter: thread, ..query("x", Some(PROJECT)) };
    assert_eq!(sequences(&views.inbox(&thread).messages), [count + 1]);
}

#[test]
fn a_look_goes_on_behind_matches_that_others_have_claimed_and_comes_back_to_them() {
    let mut views = Views::new();
    let count = u64::try_from(ROWS_MAX).unwrap() + 700;
    let of_boss = |n| message_to(n, there(), "boss", &["x"]);
    let mut events = vec![of_boss(1), of_boss(2)];
    events.extend((3..count).map(|n| message_to(n, there(), "other", &["x"])));
    events.push(of_boss(count));
    views.rows.execute_batch("BEGIN").unwrap();
    views.write(&events, |_| false);
    views.rows.execute_batch("COMMIT").unwrap();
    views.digest(&events[events.len() - 1..], start());
    let waits =
        InboxQuery { filter: filter(Some("boss"), None, false), ..query("x", Some(PROJECT)) };
    let looked = |except: &[u64]| {
        let except = except.iter().copied().map(Sequence).collect();
        let found = views.oldest_unread_except(&views.log, &waits, &except).unwrap().result;
        (sequences(&found.messages), waits.filter.as_ref().unwrap().has_more())
    };
    assert_eq!(looked(&[1, 2]), (vec![], true));
    assert_eq!(looked(&[1, 2]), (vec![count], false));
    assert_eq!(looked(&[1, 2]), (vec![count], false), "who claimed it looks whether it is unread");
    assert_eq!(looked(&[1, 2, count]), (vec![], false));
    // It has come to the end, and what is given back is before it.
    assert_eq!(looked(&[1, count]), (vec![2], false));
}

#[test]
fn messages_since_a_time_are_by_the_clocks_of_their_senders() {
    let mut views = Views::new();
    views.digest(&[message_to(1, there(), "a", &["x"])], start());
    let since = |text: &str| {
        let since: Timestamp = text.parse().unwrap();
        let filter = Filter::new(None, Some(since), None, false).unwrap();
        views.inbox(&InboxQuery { filter, ..query("x", Some(PROJECT)) }).messages.len()
    };
    assert_eq!(since("2020-06-24T16:00:00.123Z"), 1);
    assert_eq!(since("2020-06-24T16:00:00.124Z"), 0);
}

#[tokio::test]
async fn a_wait_for_one_sender_or_conversation_is_not_woken_by_others() {
    let (_directory, home) = Home::new();
    home.say("a", &["x"], "before").await;
    let from = |text: &str| WaitParams { from: Some(text.to_owned()), ..waiter("x", LIMIT) };
    let at_once = |params| within(home.agents.wait(params));
    let none = WaitParams { timeout_ms: 0, ..from("b") };
    assert_eq!(at_once(none).await.unwrap().messages, []);
    assert_eq!(at_once(from("a")).await.unwrap().messages[0].text, "before");
    let mut wait = Box::pin(home.agents.wait(from("b")));
    assert!((&mut wait).now_or_never().is_none());
    home.say("a", &["x"], "of another").await;
    // Everything that could wake it has been digested.
    assert_eq!(home.inbox("x").await.len(), 2);
    assert!((&mut wait).now_or_never().is_none());
    let sent = home.say("b", &["x"], "of the right one").await;
    let got = within(wait).await.unwrap();
    assert_eq!((got.messages[0].text.as_str(), got.left), ("of the right one", 2));
    // An answer to it, or anything of c.
    let thread = EventRef { event_id: sent.event_id, origin_daemon: here() };
    let mark = got.messages[0].event_id;
    home.mark_read("x", vec![mark]).await;
    let wait = WaitParams { thread: Some(thread), any: true, ..from("c") };
    let mut wait = Box::pin(home.agents.wait(wait));
    assert!((&mut wait).now_or_never().is_none());
    let params = MessageSendParams { reply_to: Some(thread), ..message_params("a", &["x"], "yes") };
    within(home.agents.send(params)).await.unwrap();
    assert_eq!(within(wait).await.unwrap().messages[0].text, "yes");
    let short = WaitParams { thread: Some(thread), ..waiter("x", Duration::ZERO) };
    assert_eq!(at_once(short).await.unwrap().messages[0].text, "yes");
    let inbox = InboxParams { thread: Some(thread), ..reader("x") };
    let inbox = within(home.agents.inbox(inbox)).await.unwrap();
    let texts: Vec<_> = inbox.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!((texts, inbox.unread), (vec!["of the right one", "yes"], 3));
    for wrong in ["a b", "a@laptop", ""] {
        assert!(at_once(from(wrong)).await.is_err());
    }
    home.close().await;
}
