//! How far messages got, and what keeps them.

use thrum_api::Timestamp;
use thrum_api::event::{EventRef, Route};
use thrum_api::local::{
    AgentState, DeliveryState, MessageSentParams, MessageStatusResult, Obstacle, RecipientStatus,
};

use super::super::reach::{Machines, PeerReach};
use super::home::{Home, within};
use super::*;

pub(super) const HEAD: Sequence = Sequence(40);

/// A peer that has the log up to a position, and was sent it up to another one.
pub(super) fn reach(confirmed: u64, sent: u64) -> PeerReach {
    let (confirmed, sent) = (Sequence(confirmed), Some(Sequence(sent)));
    PeerReach { confirmed, sent, unreachable_since: None }
}

pub(super) fn unreachable(confirmed: u64, sent: u64) -> PeerReach {
    PeerReach { unreachable_since: Some(Timestamp::from_millis(7)), ..reach(confirmed, sent) }
}

pub(super) fn machines<const N: usize>(peers: [(DaemonId, PeerReach); N]) -> Machines {
    Machines { peers: peers.into(), ..Machines::default() }
}

pub(super) fn status(views: &Views, sequence: u64, machines: &Machines) -> MessageStatusResult {
    let delivery = views.delivery(&views.log, Sequence(sequence), machines, HEAD).unwrap();
    delivery.unwrap().status
}

/// The only recipient of a message.
pub(super) fn only(views: &Views, sequence: u64, machines: &Machines) -> RecipientStatus {
    let mut recipients = status(views, sequence, machines).recipients;
    assert_eq!(recipients.len(), 1, "{recipients:?}");
    recipients.remove(0)
}

pub(super) fn reply(
    sequence: u64,
    origin: DaemonId,
    from: &str,
    (to, of): (&str, EventRef),
) -> SequencedEvent {
    let body = json!({ "from": from, "to": [to], "reply_to": of, "thread": of, "text": "yes" });
    event(sequence, origin, Some(PROJECT), "message.sent", &body)
}

fn sessions(sequence: u64, origin: DaemonId, agent: &str, states: &[&str]) -> serde_json::Value {
    let one = |state: &&str| {
        json!({
            "id": format!("{agent}-{sequence}-{origin}"), "state": state,
            "since": "2020-06-24T16:00:00.123Z",
        })
    };
    json!(states.iter().map(one).collect::<Vec<_>>())
}

/// What another daemon has told of an agent's sessions.
fn put_presence(views: &Views, agent: &str, origin: DaemonId, states: &[&str]) {
    let sessions = sessions(1, origin, agent, states).to_string();
    let put = "INSERT OR REPLACE INTO presence (inbox, origin, hlc, at, sessions)
         VALUES ((SELECT id FROM inboxes WHERE agent = ?1), ?2, 1, 1, ?3)";
    views.connection.execute(put, params![agent, origin.to_bytes(), sessions]).unwrap();
}

#[test]
fn a_message_to_an_agent_of_a_peer_goes_through_all_four_states() {
    let mut views = Views::new();
    let events = [joined(1, there(), "coder"), message_to(2, here(), "planner", &["coder"])];
    let cursor = views.digest(&events, start());

    let stored = only(&views, 2, &machines([(there(), reach(1, 9))]));
    assert_eq!((stored.state, stored.daemon_id), (DeliveryState::Stored, Some(there())));
    assert_eq!((stored.obstacle, stored.behind), (Some(Obstacle::Behind), Some(31)));
    let away = only(&views, 2, &machines([(there(), unreachable(1, 9))]));
    assert_eq!((away.obstacle, away.behind), (Some(Obstacle::Unreachable), Some(31)));
    assert_eq!(away.since, Some(Timestamp::from_millis(7)));
    assert_eq!((stored.live, away.live), (Some(AgentState::Gone), Some(AgentState::Unreachable)));

    let peers = machines([(there(), reach(2, 9))]);
    let arrived = only(&views, 2, &peers);
    assert_eq!((arrived.state, arrived.behind), (DeliveryState::There, None));
    assert_eq!(arrived.obstacle, Some(Obstacle::NoSession));
    put_presence(&views, "coder", there(), &["idle", "waiting"]);
    let waits = only(&views, 2, &peers);
    assert_eq!((waits.live, waits.obstacle), (Some(AgentState::Waiting), Some(Obstacle::NotShown)));

    let cursor = views.digest(&[read_receipt(3, there(), "coder", (here(), &[2]))], cursor);
    let read = only(&views, 2, &machines([(there(), unreachable(0, 0))]));
    assert_eq!((read.state, read.route), (DeliveryState::Read, Some(Route::Wait)));
    assert_eq!((read.session.as_deref(), read.obstacle), (Some("s-3"), None));
    assert_eq!(read.read_at, Some("2020-06-24T16:00:00.123Z".parse().unwrap()));

    let of = EventRef { event_id: id(2), origin_daemon: here() };
    let answers = [
        reply(4, there(), "tester", ("planner", of)),
        reply(5, there(), "coder", ("planner", of)),
        reply(6, there(), "coder", ("planner", of)),
    ];
    views.digest(&answers, cursor);
    let answered = only(&views, 2, &peers);
    assert_eq!(answered.state, DeliveryState::Answered);
    assert_eq!(answered.answer, Some(EventRef { event_id: id(5), origin_daemon: there() }));
    let whole = status(&views, 2, &peers);
    assert_eq!((whole.total, whole.there, whole.read, whole.answered), (1, 1, 1, 1));
}

#[test]
fn behind_a_relay_a_message_is_there_when_its_daemon_says_so() {
    let mut views = Views::new();
    let events = [joined(1, there(), "coder"), message_to(2, here(), "planner", &["coder"])];
    let cursor = views.digest(&events, start());
    let nobody = machines([(daemon(3), reach(0, 0))]);
    let stored = only(&views, 2, &nobody);
    assert_eq!((stored.state, stored.obstacle), (DeliveryState::Stored, Some(Obstacle::Relayed)));
    // Not far enough, and another daemon.
    let told = [there_receipt(3, there(), here(), 1), there_receipt(4, daemon(3), here(), 2)];
    let cursor = views.digest(&told, cursor);
    assert_eq!(only(&views, 2, &nobody).state, DeliveryState::Stored);
    views.digest(&[there_receipt(5, there(), here(), 2)], cursor);
    let arrived = only(&views, 2, &nobody);
    assert_eq!(
        (arrived.state, arrived.obstacle),
        (DeliveryState::There, Some(Obstacle::NoSession))
    );
}

#[test]
fn nothing_is_heard_of_an_agent_behind_relays_of_which_none_can_be_reached() {
    let mut views = Views::new();
    let events = [joined(1, there(), "coder"), message_to(2, here(), "planner", &["coder"])];
    views.digest(&events, start());
    put_presence(&views, "coder", there(), &["working"]);
    let later = PeerReach { unreachable_since: Some(Timestamp::from_millis(9)), ..reach(9, 9) };
    let told = |machines: Machines| {
        let only = only(&views, 2, &machines);
        (only.live.unwrap(), only.obstacle.unwrap(), only.since.map(Timestamp::as_millis))
    };
    let (away, relayed) = (AgentState::Unreachable, Obstacle::Relayed);
    let relays = [(daemon(3), unreachable(1, 1)), (daemon(4), later)];
    assert_eq!(told(machines(relays)), (away, Obstacle::Unreachable, Some(9)));
    let relays = [(daemon(3), unreachable(1, 1)), (daemon(4), reach(1, 1))];
    assert_eq!(told(machines(relays)), (AgentState::Working, relayed, None));
    // The last peer was removed.
    assert_eq!(told(Machines::default()), (away, Obstacle::Unreachable, None));
}

#[test]
fn what_agents_of_this_machine_read_their_marks_tell() {
    let mut views = Views::new();
    let events = [
        joined(1, here(), "coder"),
        joined(2, there(), "coder"),
        message_to(3, here(), "planner", &["coder", "nobody"]),
    ];
    views.digest(&events, start());
    let before = status(&views, 3, &Machines::default());
    let states = |status: &MessageStatusResult| -> Vec<(String, Option<DaemonId>, DeliveryState)> {
        status.recipients.iter().map(|it| (it.agent.clone(), it.daemon_id, it.state)).collect()
    };
    let coder = |daemon, state| ("coder".to_owned(), Some(daemon), state);
    let nobody = ("nobody".to_owned(), None, DeliveryState::Stored);
    assert_eq!(
        states(&before),
        [
            coder(there(), DeliveryState::Stored),
            nobody.clone(),
            coder(here(), DeliveryState::There)
        ]
    );
    assert_eq!(before.recipients[1].obstacle, Some(Obstacle::UnknownName));
    assert_eq!(before.recipients[1].live, None);
    views.mark_read("coder", &[id(3)]);
    let after = status(&views, 3, &Machines::default());
    assert_eq!(after.recipients[2].state, DeliveryState::Read);
    assert_eq!(after.recipients[2].route, Some(Route::Inbox));
    assert_eq!((after.total, after.there, after.read), (3, 1, 1), "{after:?}");
    // What the views lose and make anew says the same.
    views.reset().unwrap();
    views.digest(&events, start());
    assert_eq!(status(&views, 3, &Machines::default()), after);
}

#[test]
fn a_message_to_all_counts_everyone_that_was_there_and_shows_those_that_lag_most() {
    let mut views = Views::new();
    let mut events = vec![joined(1, here(), "planner"), joined(2, daemon(4), "former")];
    events.extend((3..=152).map(|n| joined(n, there(), &format!("agent-{n}"))));
    events.extend((153..=162).map(|n| joined(n, here(), &format!("local-{n}"))));
    events.push(message_to_all(163, here(), "planner"));
    events.push(joined(164, there(), "late"));
    events.push(read_receipt(165, there(), "agent-7", (here(), &[163])));
    views.digest(&events, start());
    let mut peers = machines([(there(), reach(1, 1))]);
    peers.former.insert(daemon(4), there());
    let lagging = status(&views, 163, &peers);
    assert!(lagging.all && lagging.to.is_empty());
    assert_eq!((lagging.total, lagging.there, lagging.read), (160, 11, 1));
    assert_eq!(lagging.recipients.len(), 100);
    assert!(lagging.recipients.iter().all(|it| it.state == DeliveryState::Stored));
    let there = status(&views, 163, &machines([(there(), reach(163, 163))]));
    assert_eq!((there.total, there.there), (161, 160), "without a successor it is counted");
    assert_eq!(there.recipients[0].agent, "former");
}

#[test]
fn a_message_to_a_group_is_for_its_members_but_not_its_sender() {
    let mut views = Views::new();
    let body = json!({ "from": "planner", "to": ["@reviewers"], "text": "look" });
    let events = [
        joined(1, here(), "planner"),
        joined(2, there(), "planner"),
        joined(3, there(), "coder"),
        joined(4, daemon(3), "coder"),
        event(5, here(), Some(PROJECT), "message.sent", &body),
    ];
    views.digest(&events, start());
    let members = format!(
        "INSERT OR IGNORE INTO groups (project, name) SELECT id, 'reviewers' FROM projects;
         INSERT OR REPLACE INTO group_members (\"group\", member, present, hlc, origin, origin_sequence)
         SELECT id, column1, column2, 1, x'', 1 FROM groups, (VALUES ('planner', 1), ('coder@{}', 1), ('gone', 0))",
        there()
    );
    views.connection.execute_batch(&members).unwrap();
    let status = status(&views, 5, &Machines::default());
    let mut recipients: Vec<_> =
        status.recipients.iter().map(|it| (it.agent.as_str(), it.daemon_id.unwrap())).collect();
    recipients.sort_unstable();
    assert_eq!(recipients, [("coder", there()), ("planner", there())]);
    assert_eq!((status.to, status.total), (vec!["@reviewers".to_owned()], 2));
}

#[test]
fn a_deleted_message_shows_no_text_and_only_messages_of_this_machine_have_a_status() {
    let mut views = Views::new();
    let long = json!({ "from": "planner", "to": ["coder"], "text": "\u{e9}".repeat(500) });
    let events = [
        event(1, here(), Some(PROJECT), "message.sent", &long),
        message_to(2, there(), "coder", &["planner"]),
        joined(3, here(), "planner"),
    ];
    views.digest(&events, start());
    assert_eq!(status(&views, 1, &Machines::default()).text, "\u{e9}".repeat(200));
    let put = "INSERT INTO deleted (event_id, origin, sender)
         SELECT ?1, ?2, id FROM inboxes WHERE agent = ?3";
    let deleted_by = |agent: &str| {
        let row = params![id(1).ulid().to_bytes(), here().to_bytes(), agent];
        views.connection.execute(put, row).unwrap();
        let status = status(&views, 1, &Machines::default());
        (status.deleted, status.text.is_empty())
    };
    assert_eq!(deleted_by("coder"), (false, false), "another agent says so");
    assert_eq!(deleted_by("planner"), (true, true));
    for other in [2, 3, 4] {
        let none = views.delivery(&views.log, Sequence(other), &Machines::default(), HEAD).unwrap();
        assert!(none.is_none(), "{none:?}");
    }
}

#[tokio::test]
async fn sent_messages_come_page_by_page_the_newest_first() {
    let (_directory, home) = Home::new();
    for number in 0..5 {
        home.say("planner", &["coder"], &format!("{number}")).await;
        home.say("other", &["coder"], "of another").await;
    }
    home.apply(vec![message_to(1, there(), "planner", &["coder"])]).await;
    let page = async |before, limit| {
        let (agent, project) = ("planner".to_owned(), PROJECT.to_owned());
        let params = MessageSentParams { agent, project, before, limit };
        within(home.agents.sent(params)).await.unwrap().messages
    };
    let texts = |page: &[MessageStatusResult]| -> Vec<String> {
        page.iter().map(|message| message.text.clone()).collect()
    };
    let first = page(None, Some(3)).await;
    assert_eq!(texts(&first), ["4", "3", "2"]);
    assert_eq!(texts(&page(Some(first[2].sequence), None).await), ["1", "0"]);
    let message = first[0].message;
    assert_eq!(within(home.agents.delivery(message)).await.unwrap().status, first[0]);
    let unknown = EventRef { origin_daemon: there(), ..message };
    let error = within(home.agents.delivery(unknown)).await.unwrap_err();
    assert_eq!(error.to_rpc().code, thrum_api::ErrorCode::NOT_FOUND);
    home.close().await;
}

#[tokio::test]
async fn whoever_sends_is_told_whom_it_reaches() {
    let (_directory, home) = Home::new();
    home.apply(vec![joined(1, there(), "coder"), joined(2, there(), "tester")]).await;
    home.say("local", &["coder"], "so that local is known").await;
    home.is_digested().await;
    let sent = home.say("planner", &["coder", "local", "nobody"], "hello").await;
    let of = |it: &RecipientStatus| (it.agent.clone(), it.daemon_id, it.state, it.obstacle);
    let mut recipients: Vec<_> = sent.recipients.iter().map(of).collect();
    recipients.sort_unstable();
    let expected = [
        ("coder", Some(there()), DeliveryState::Stored, Obstacle::Unreachable),
        ("local", Some(here()), DeliveryState::There, Obstacle::NoSession),
        ("nobody", None, DeliveryState::Stored, Obstacle::UnknownName),
    ];
    let expected =
        expected.map(|(name, daemon, state, why)| (name.to_owned(), daemon, state, Some(why)));
    assert_eq!((recipients, sent.total), (expected.to_vec(), 3));
    home.is_digested().await;
    let params = thrum_api::local::MessageSendParams {
        all: true,
        ..super::home::message_params("planner", &[], "to all")
    };
    let sent = within(home.agents.send(params)).await.unwrap();
    assert_eq!((sent.recipients, sent.total), (Vec::new(), 3), "coder, tester and local");
    home.close().await;
}
