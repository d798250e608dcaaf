use thrum_api::limits::EVENT_MAX_BYTES;
use thrum_api::{OriginSequence, Timestamp};

use super::*;

#[tokio::test]
async fn an_append_answers_its_positions_and_survives_a_restart() {
    let mut world = World::new();
    let written = world.say_many(3).await;
    let places: Vec<u64> = written.iter().map(|event| event.sequence.0).collect();
    assert_eq!(places, [1, 2, 3]);
    assert_eq!(written[2].origin_sequence, OriginSequence(3));
    let head = world.log.head();
    assert!(head.position.sequence == Sequence(3) && head.position.hash.is_some());

    let database_was_lost = world.reopen(|_| ()).await;
    assert!(!database_was_lost);
    assert_eq!(world.log.head(), head);
    assert_eq!(world.say("later").await.sequence, Sequence(4));
    check_invariants(&world);
}

#[tokio::test]
async fn an_event_has_the_members_of_the_protocol_in_its_order() {
    let world = World::new();
    let mut draft = draft("hi");
    draft.project = Some("a \"quoted\" project".into());
    draft.body = json(r#"{"b":1,  "a":[ ]}"#);
    let written = world.log.append(vec![draft]).await.unwrap()[0];
    let event = &world.all().await[0].event;
    let read = parse(event);
    assert_eq!(read.header.event_id, written.event_id);
    assert_eq!(read.header.origin(), world.origin());
    assert_eq!(read.header.project.as_deref(), Some("a \"quoted\" project"));
    assert!(event.get().ends_with(r#","body":{"b":1,  "a":[ ]}}"#), "{event}");
    let names = [
        "event_id",
        "origin_daemon",
        "origin_epoch",
        "origin_sequence",
        "hlc",
        "timestamp",
        "type",
        "project",
        "body",
    ];
    let found: Vec<_> = names
        .iter()
        .map(|name| event.get().find(&format!("\"{name}\":")).expect("a member"))
        .collect();
    assert!(found.is_sorted(), "{event}");
    // The bytes equal serde's output, so the escaping is the same.
    let value: serde_json::Value = serde_json::from_str(event.get()).unwrap();
    assert_eq!(value["timestamp"], serde_json::json!(read.header.timestamp.to_string()));
}

#[tokio::test]
async fn the_same_id_twice_is_written_once() {
    let world = World::new();
    let mut first = draft("once");
    first.event_id = Some(ids::event());
    let written = world.log.append(vec![first.clone()]).await.unwrap();
    world.say("between").await;
    // Alone, together with a new one, and twice in one append.
    let again = world.log.append(vec![first.clone(), draft("new"), first.clone()]).await.unwrap();
    assert_eq!(again[0], written[0]);
    assert_eq!(again[2], written[0]);
    assert_eq!(again[1].sequence, Sequence(3));
    let mut twin = draft("twin");
    twin.event_id = Some(ids::event());
    let twins = world.log.append(vec![twin.clone(), twin]).await.unwrap();
    assert_eq!(twins[0], twins[1]);
    assert_eq!(world.say("end").await.origin_sequence, OriginSequence(5));
    check_invariants(&world);
}

#[tokio::test]
async fn an_id_of_another_event_is_refused_and_nothing_is_written() {
    let world = World::new();
    let id = ids::event();
    let mut first = draft("one");
    first.event_id = Some(id);
    world.log.append(vec![first]).await.unwrap();
    let mut other = draft("two");
    other.event_id = Some(id);
    let refused = world.log.append(vec![draft("new"), other.clone()]).await.unwrap_err();
    assert_eq!(refused.kind(), LogErrorKind::Invalid);
    assert!(refused.to_string().contains(&id.to_string()), "{refused}");
    assert_eq!(world.log.head().position.sequence, Sequence(1));

    let (a, b) = (ids::event(), ids::event());
    let mut pair = [draft("a"), draft("b")];
    pair[0].event_id = Some(a);
    pair[1].event_id = Some(a);
    assert!(world.log.append(pair.to_vec()).await.is_err());
    pair[1].event_id = Some(b);
    assert!(world.log.append(pair.to_vec()).await.is_ok());

    // An id that another daemon has given to an event of its own keeps nobody from using it.
    let taken = ids::event();
    let text = foreign_with_id(new_origin(), 1, taken);
    world.log.apply(raw_batch(testing::daemon(), &[text])).await.unwrap();
    other.event_id = Some(taken);
    let written = world.log.append(vec![other.clone()]).await.unwrap();
    assert_eq!(world.log.append(vec![other]).await.unwrap(), written);
    check_invariants(&world);
}

#[tokio::test]
async fn an_invalid_event_is_refused_when_it_is_written() {
    let world = World::new();
    let with = |change: &dyn Fn(&mut Draft)| {
        let mut changed = draft("x");
        change(&mut changed);
        changed
    };
    let large = json(&format!("\"{}\"", "x".repeat(EVENT_MAX_BYTES - 100)));
    let refused = world.log.append(vec![with(&|d| d.body = large.clone())]).await.unwrap_err();
    assert_eq!(refused.kind(), LogErrorKind::TooLarge);
    assert!(refused.to_string().contains("262144"), "{refused}");
    let wrong = [
        with(&|d| d.event_type = "Not A Type".into()),
        with(&|d| d.event_type = String::new()),
        with(&|d| d.project = Some("two\nlines".into())),
        with(&|d| d.body = json(r#"{"half a pair":"\ud83d"}"#)),
        with(&|d| d.body = json(&("[".repeat(64) + &"]".repeat(64)))),
    ];
    for wrong in wrong {
        let refused = world.log.append(vec![draft("good"), wrong]).await.unwrap_err();
        assert_eq!(refused.kind(), LogErrorKind::Invalid);
    }
    let too_many = world.log.append(vec![draft("x"); 1001]).await.unwrap_err();
    assert_eq!(too_many.kind(), LogErrorKind::Invalid);
    assert_eq!(world.log.append(vec![]).await.unwrap(), vec![]);
    assert_eq!(world.log.head().position, LogPosition::START);

    let fits = json(&format!("\"{}\"", "x".repeat(EVENT_MAX_BYTES - 400)));
    world.log.append(vec![with(&|d| d.body = fits.clone())]).await.unwrap();
    assert!(world.all().await[0].event.get().len() <= EVENT_MAX_BYTES);
}

#[tokio::test]
async fn the_clock_of_our_events_rises_and_follows_peers_but_not_for_days() {
    let world = World::new();
    let peer = testing::daemon();
    let now = u64::try_from(crate::clock::now().as_millis()).unwrap();
    let ahead = |hours: u64| thrum_api::Hlc::new(now + hours * 3_600_000, 7);
    let with_clock =
        |hours| foreign(new_origin(), 1).replace("0192f3a1b2c3-0004", &ahead(hours).to_string());
    world.say_many(50).await;
    world.log.apply(raw_batch(peer, &[with_clock(1)])).await.unwrap();
    world.say("after an hour").await;
    world.log.apply(raw_batch(peer, &[with_clock(100)])).await.unwrap();
    world.say("after days").await;
    let events = world.all().await;
    let clocks: Vec<_> = events
        .iter()
        .map(|event| parse(&event.event).header)
        .filter(|header| header.origin() == world.origin())
        .map(|header| header.hlc)
        .collect();
    assert!(clocks.is_sorted_by(|a, b| a < b), "{clocks:?}");
    assert!(clocks[50] > ahead(1), "follows an hour");
    assert!(clocks[51] < ahead(2), "does not follow days");
    let last = parse(&events.last().unwrap().event).header.timestamp;
    assert!(last < Timestamp::from_millis(i64::try_from(ahead(1).millis()).unwrap()));
}
