//! What is stored of a message that was read.

use thrum_api::local::MarkReadParams;

use super::super::marks::{self, ReadMark};
use super::home::{Home, within};
use super::*;

fn stored(connection: &Connection) -> Vec<ReadMark> {
    let mut marks = connection.prepare(marks::SELECT).unwrap();
    marks.query_map([], ReadMark::read).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn a_mark_says_how_and_when_and_by_which_session_a_message_was_read() {
    let mut views = Views::new();
    let events = [message_to(1, there(), "a", &["x"]), message_to(2, here(), "b", &["x"])];
    views.digest(&events, start());
    let found = views.log.find([id(1), id(2)]).unwrap();
    let by_wait = Reading { route: Route::Wait, session: Some("s-1".to_owned()), ..reading("x") };
    let messages = [by_id(id(1)), by_id(id(2))];
    assert!(
        views.store.mark_read(&by_wait, &messages, &found).unwrap().owes,
        "a peer is to be told"
    );
    // What was read is read as it was the first time.
    assert!(!views.store.mark_read(&reading("x"), &messages, &found).unwrap().owes);
    let [first, second] = stored(&views.connection).try_into().ok().unwrap();
    for mark in [&first, &second] {
        assert_eq!((mark.route.as_str(), mark.session.as_deref()), ("wait", Some("s-1")));
        assert_eq!((mark.at, mark.project.as_str()), (1_600_000_000_000, PROJECT));
    }
    assert!(!first.told);
    assert!(second.told, "the message was sent here");
}

#[test]
fn nobody_is_told_of_messages_that_were_sent_here() {
    let mut views = Views::new();
    views.digest(&[message_to(1, here(), "a", &["x"])], start());
    let found = views.log.find([id(1)]).unwrap();
    assert!(!views.store.mark_read(&reading("x"), &[by_id(id(1))], &found).unwrap().owes);
    assert_eq!(stored(&views.connection).len(), 1);
}

#[test]
fn each_route_has_the_name_that_it_has_in_events() {
    for route in [Route::Wait, Route::Inbox, Route::Hook, Route::Mcp, Route::Other] {
        let name = marks::route_name(route);
        assert_eq!(json!(route), json!(name));
        assert_eq!(marks::route_named(name), route);
    }
}

#[tokio::test]
async fn the_id_of_a_session_is_not_longer_than_a_name() {
    let (_directory, home) = Home::new();
    let sent = home.say("a", &["x"], "one").await;
    let read = |session: String| MarkReadParams {
        agent: "x".to_owned(),
        messages: vec![by_id(sent.event_id)],
        route: Some(Route::Hook),
        session: Some(session),
    };
    let refused = within(home.agents.mark_read(read("\u{e9}".repeat(129)))).await.unwrap_err();
    assert_eq!(refused.to_rpc().code, thrum_api::ErrorCode::INVALID_PARAMS);
    assert_eq!(home.inbox("x").await, ["one*"]);
    within(home.agents.mark_read(read("\u{e9}".repeat(128)))).await.unwrap();
    assert_eq!(home.inbox("x").await, ["one"]);
    home.close().await;
}
