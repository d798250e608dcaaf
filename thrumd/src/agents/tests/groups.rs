//! Groups: who is in them, and who gets what is sent to them.

use thrum_api::ErrorCode;
use thrum_api::local::{EventListParams, Group, GroupChangeParams, GroupListParams};

use super::super::reach::Machines;
use super::super::{delivery, digest};
use super::home::{Home, within};
use super::*;
use crate::testing::{statement_runs, statement_steps};

fn change(sequence: u64, origin: DaemonId, add: &[&str], remove: &[&str]) -> SequencedEvent {
    let body = json!({ "group": "g", "add": add, "remove": remove });
    event(sequence, origin, Some(PROJECT), "group.changed", &body)
}

#[test]
fn a_message_to_a_group_is_for_members_who_are_agents_here_when_it_comes() {
    let mut views = Views::new();
    let of_peer = format!("remote@{}", there());
    let events = [
        joined(1, here(), "a"),
        joined(2, here(), "b"),
        joined(3, here(), "c"),
        joined(4, here(), "remote"),
        change(5, there(), &["a", &format!("b@{}", here()), "late", &of_peer], &[]),
        message_to(6, here(), "a", &["@g"]),
        // Its sender is another agent than the one here.
        message_to(7, there(), "a", &["@g"]),
        joined(8, here(), "late"),
        message_to(9, there(), "x", &["@g", "c"]),
        change(10, here(), &[], &["a"]),
        event(11, here(), Some(PROJECT), "agent.removed", &json!({ "agent": "late" })),
        message_to(12, there(), "x", &["@g"]),
        message_to(13, there(), "x", &["@other", "a"]),
    ];
    // The page does not matter.
    let mut cursor = start();
    for event in &events {
        cursor = views.digest(std::slice::from_ref(event), cursor);
    }
    let check = |views: &Views| {
        assert_eq!(views.places("a").0, [7, 9, 13]);
        assert_eq!(views.places("b").0, [6, 7, 9, 12]);
        assert_eq!(views.places("c").0, [9]);
        assert_eq!(views.places("late").0, [9]);
        assert_eq!(views.places("remote").0, Vec::<u64>::new());
    };
    check(&views);
    views.reset().unwrap();
    views.digest(&events, start());
    check(&views);
}

#[test]
fn a_deleted_message_to_a_group_leaves_those_who_have_left_it_too() {
    let mut views = Views::new();
    let deleted = json!({ "from": "x", "event_id": id(3) });
    let events = [
        joined(1, here(), "a"),
        change(2, there(), &["a"], &[]),
        message_to(3, there(), "x", &["@g"]),
        change(4, there(), &[], &["a"]),
        event(5, there(), Some(PROJECT), "message.deleted", &deleted),
    ];
    let cursor = views.digest(&events[..4], start());
    assert_eq!(views.places("a").0, [3]);
    views.digest(&events[4..], cursor);
    assert_eq!(views.places("a").0, Vec::<u64>::new());
}

#[test]
fn of_two_changes_at_one_point_the_removal_counts_in_either_order() {
    // As from an origin with two histories: nothing else tells them apart.
    let at_one_point = |sequence, add: &[&str], remove: &[&str]| {
        let change = change(sequence, there(), add, remove);
        let mut value: serde_json::Value = serde_json::from_str(change.event.get()).unwrap();
        value["origin_sequence"] = json!(1);
        SequencedEvent { event: serde_json::value::to_raw_value(&value).unwrap(), ..change }
    };
    for order in [[1, 2], [2, 1]] {
        let mut views = Views::new();
        let [add, remove] = order;
        let mut events = [at_one_point(add, &["a"], &[]), at_one_point(remove, &[], &["a"])];
        events.sort_by_key(|event| event.sequence);
        views.digest(&events, start());
        assert_eq!(views.groups(PROJECT, None).unwrap(), [], "{order:?}");
    }
}

#[test]
fn a_group_costs_as_much_as_there_are_agents_here_however_often_it_is_named() {
    let mut views = Views::new();
    let many: Vec<String> = (0..3000).map(|n| format!("x{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let events = [
        joined(1, here(), "a"),
        joined(2, here(), "b"),
        change(3, there(), &many, &[]),
        change(4, there(), &["a"], &[]),
        message_to(5, there(), "x", &["@g"; 64]),
    ];
    // Names of others are no agents here.
    let strangers = (6..3006).map(|n| message_to(n, there(), "x", &[&format!("y{n}")]));
    let events: Vec<_> = events.into_iter().chain(strangers).collect();
    let cursor = views.digest(&events, start());
    let [members_here, ..] = digest::GROUP_QUERIES else { panic!("no queries") };
    let work = |views: &Views| {
        let connection = &views.connection;
        (statement_runs(connection, members_here), statement_steps(connection, members_here))
    };
    let (runs, steps) = work(&views);
    assert_eq!(runs, 1);
    assert!((10..200).contains(&steps), "{steps}");
    views.digest(&[message_to(3006, there(), "x", &["@g"])], cursor);
    let (runs, steps) = work(&views);
    assert_eq!(runs, 2);
    assert!((10..400).contains(&steps), "{steps}");
    assert_eq!(views.places("a").0, [5, 3006]);
}

#[test]
fn how_far_a_message_got_is_not_told_of_all_members_of_a_very_large_group() {
    let mut views = Views::new();
    let change = |n: u64| {
        let many: Vec<String> = (0..4001).map(|member| format!("x{n}-{member}")).collect();
        change(n, there(), &many.iter().map(String::as_str).collect::<Vec<_>>(), &[])
    };
    let mut events: Vec<_> = (1..=3).map(change).collect();
    events.push(message_to(4, here(), "a", &["@g"; 64]));
    views.digest(&events, start());
    let machines = Machines::default();
    let found = views.delivery(&views.log, Sequence(4), &machines, Sequence(4)).unwrap().unwrap();
    assert_eq!(found.status.total, 10_000);
    let members = delivery::QUERIES.concat().into_iter().find(|sql| sql.contains("group_members"));
    assert_eq!(statement_runs(&views.connection, members.unwrap()), 1);
}

fn changing(add: &[String], remove: &[String]) -> GroupChangeParams {
    GroupChangeParams {
        group: "@reviewers".to_owned(),
        project: PROJECT.to_owned(),
        add: add.to_vec(),
        remove: remove.to_vec(),
    }
}

fn list(group: Option<&str>) -> GroupListParams {
    GroupListParams { project: PROJECT.to_owned(), group: group.map(str::to_owned) }
}

async fn changes(home: &Home) -> Vec<SequencedEvent> {
    let event_type = Some("group.changed".to_owned());
    home.log
        .list(EventListParams { event_type, ..EventListParams::default() })
        .await
        .unwrap()
        .events
}

#[tokio::test]
async fn a_group_is_there_with_its_first_member_and_what_changes_nothing_is_not_written() {
    let (_directory, home) = Home::new();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let change = |add: &[&str], remove: &[&str]| {
        within(home.agents.change_group(changing(&names(add), &names(remove))))
    };
    let none = within(home.agents.groups(list(Some("reviewers")))).await.unwrap_err().to_rpc();
    assert_eq!(none.code, ErrorCode::NOT_FOUND);
    let is = |group: Group| (group.name, group.members);
    let of = |members: &[&str]| ("reviewers".to_owned(), names(members));
    assert_eq!(is(change(&["b", "a", "b"], &[]).await.unwrap()), of(&["a", "b"]));
    assert_eq!(is(change(&["a"], &["c"]).await.unwrap()), of(&["a", "b"]));
    assert_eq!(changes(&home).await.len(), 1);
    // The group comes before an agent of its name.
    home.say("reviewers", &["reviewers"], "one").await;
    home.say("a", &["x"], "joins").await;
    home.say("reviewers", &["@reviewers"], "two").await;
    assert_eq!(home.inbox("a").await, ["two*"]);
    assert_eq!(home.inbox("reviewers").await, ["one*"]);
    assert_eq!(within(home.agents.groups(list(None))).await.unwrap().len(), 1);
    assert_eq!(is(change(&[], &["a", "b"]).await.unwrap()), of(&[]));
    assert_eq!(within(home.agents.groups(list(None))).await.unwrap(), []);
    home.say("a", &["@reviewers"], "three").await;
    assert_eq!(home.inbox("reviewers").await, ["one*", "three*"]);
    for (add, remove) in [(["@b"], ["c"]), (["b"], ["b"]), (["b c"], ["b"])] {
        let error = change(&add, &remove).await.unwrap_err().to_rpc();
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{error}");
    }
    home.close().await;
}

#[tokio::test]
async fn who_changes_what_a_clock_ahead_has_changed_is_told_that_it_is_without_effect() {
    let (_directory, home) = Home::new();
    let ahead = |sequence, add: &[&str], remove: &[&str]| {
        let body = json!({ "group": "reviewers", "add": add, "remove": remove });
        let change = event(sequence, there(), Some(PROJECT), "group.changed", &body);
        let mut value: serde_json::Value = serde_json::from_str(change.event.get()).unwrap();
        value["hlc"] = json!("03bb2cc3d800-0000");
        SequencedEvent { event: serde_json::value::to_raw_value(&value).unwrap(), ..change }
    };
    let machine = json!({ "agent": "x", "machine": "desk" });
    let joined = event(2, there(), Some(PROJECT), "agent.joined", &machine);
    home.apply(vec![ahead(1, &["a"], &["b"]), joined]).await;
    let change = |add: &[&str], remove: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        within(home.agents.change_group(changing(&names(add), &names(remove))))
    };
    for (add, remove, words) in [
        (&["c"][..], &["a"][..], "a stays in the group @reviewers: desk"),
        (&["b", "d"], &[], "b does not come into the group @reviewers: desk"),
    ] {
        let error = change(add, remove).await.unwrap_err().to_rpc();
        assert_eq!(error.code, ErrorCode::REFUSED, "{error}");
        assert!(error.message.contains(words), "{error}");
        assert!(error.message.contains("2100-01-01T00:00:00"), "{error}");
    }
    // What is not concerned is changed.
    assert_eq!(change(&["a"], &["c"]).await.unwrap().members, ["a", "d"]);
    home.close().await;
}

#[tokio::test]
async fn a_group_of_five_thousand_takes_one_call_and_small_events() {
    let (_directory, home) = Home::new();
    // The longest names there are: each character has four bytes.
    let names: Vec<String> =
        (0..5000).map(|n| format!("{n:04}{}@{}", "\u{20000}".repeat(124), there())).collect();
    home.say("coder", &["coder"], "joins").await;
    let group = within(home.agents.change_group(changing(&names, &[]))).await.unwrap();
    assert_eq!(group.members.len(), 5000);
    let events = changes(&home).await;
    assert!(events.iter().all(|event| event.event.get().len() < 128 * 1024));
    assert!((40..80).contains(&events.len()), "{}", events.len());
    let one_more = [names.as_slice(), &["x".to_owned()]].concat();
    let error = within(home.agents.change_group(changing(&one_more, &[]))).await.unwrap_err();
    assert_eq!(error.to_rpc().code, ErrorCode::INVALID_PARAMS);
    let some = [names[7].clone()];
    within(home.agents.change_group(changing(&["coder".to_owned()], &some))).await.unwrap();
    home.say("planner", &["@reviewers"], "to many").await;
    assert_eq!(home.inbox("coder").await, ["joins*", "to many*"]);
    home.close().await;
}
