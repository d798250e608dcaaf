use std::sync::Arc;

use serde_json::value::RawValue;
use thrum_api::peer::Run;
use thrum_api::proof::{Chain, Signature};
use thrum_api::{Draft, Epoch, LogHash, OriginSequence, SequencedEvent};
use ulid::Ulid;

use super::*;
use crate::keys::SecretKey;
use crate::log::{Log, NewsRequest};
use crate::sync::hub::tests::harness::{peer, position};

fn origin(n: u128) -> Origin {
    Origin { daemon: peer(n), epoch: Epoch::from_ulid(Ulid(n)) }
}

fn head(n: u128, sequence: u64) -> Head {
    Head {
        origin_daemon: peer(n),
        origin_epoch: origin(n).epoch,
        origin_sequence: OriginSequence(sequence),
        chain: Chain([7; 32]),
    }
}

fn at(position: LogPosition) -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    checkpoint.position = position;
    checkpoint
}

/// A notification of a log that ends at `latest`.
fn notified(
    latest: u64,
    after: Option<u64>,
    window: &[u64],
    heads: Option<&[Head]>,
) -> Notification {
    let mut params = NotifyParams::of(peer(1), position(latest));
    params.heads = heads.map(<[Head]>::to_vec);
    params.runs = Some(window.iter().map(|at| unproved(*at, "{}".to_owned())).collect());
    Notification { after: after.map(position), ..Notification::of(peer(1), &mut params) }
}

/// A run that nobody signed.
fn unproved(at: u64, event: String) -> Run {
    let event = RawValue::from_string(event).unwrap();
    let events = vec![SequencedEvent { sequence: Sequence(at), event }];
    Run { previous: Chain([0; 32]), signature: Signature([0; 64]), events }
}

/// Decides on a notification whose window was not applied yet.
fn decide(from: &Checkpoint, notification: &Notification, missing: Option<&[Origin]>) -> Decision {
    super::decide(from, notification, !notification.window.page.is_empty(), missing)
}

#[test]
fn the_checkpoint_moves_when_nothing_is_missing_once_the_window_is_applied() {
    let heads = [head(1, 6), head(2, 3)];
    let notification = notified(6, Some(4), &[5, 6], Some(&heads));
    let (from, missing) = (at(position(4)), [origin(1)]);
    assert_eq!(decide(&from, &notification, Some(&missing)), Decision::Apply);
    let afterwards = |missing| super::decide(&from, &notification, false, Some(missing));
    assert_eq!(afterwards(&[]), Decision::AdvanceCheckpoint(position(6)));
    // The window had the last event of an origin, and not one before that, which came from here and was lost here.
    assert_eq!(afterwards(&missing), Decision::Pull { creators: vec![peer(1)] });
}

#[test]
fn a_window_without_heads_says_nothing_of_the_rest() {
    let window = notified(5, Some(4), &[5], None);
    assert_eq!(decide(&at(position(4)), &window, None), Decision::Apply);
    let rest = notified(5, Some(4), &[], None);
    assert_eq!(decide(&at(position(4)), &rest, None), Decision::Pull { creators: vec![] });
}

#[test]
fn a_window_from_another_place_is_not_applied() {
    let notification = notified(6, Some(5), &[6], Some(&[head(1, 6)]));
    let decision = decide(&at(position(4)), &notification, Some(&[origin(1)]));
    assert_eq!(decision, Decision::Pull { creators: vec![] });
}

#[test]
fn with_every_head_held_only_the_checkpoint_moves() {
    // Heads of the whole log, or of what follows our checkpoint.
    for after in [0, 4] {
        let notification = notified(6, Some(after), &[], Some(&[head(2, 3)]));
        assert_eq!(
            decide(&at(position(4)), &notification, Some(&[])),
            Decision::AdvanceCheckpoint(position(6))
        );
    }
    let notification = notified(6, Some(0), &[], Some(&[head(2, 3)]));
    assert_eq!(decide(&at(position(6)), &notification, Some(&[])), Decision::UpToDate);
}

#[test]
fn heads_from_another_place_than_our_checkpoint_say_nothing_of_what_lies_before() {
    let heads = [head(2, 3)];
    let pull = |creators| Decision::Pull { creators };
    let notification = notified(6, Some(5), &[], Some(&heads));
    assert_eq!(decide(&at(position(4)), &notification, Some(&[])), pull(vec![]));
    assert_eq!(decide(&at(position(4)), &notification, Some(&[origin(2)])), pull(vec![]));
    // Or of another history.
    let other = LogPosition { hash: Some(LogHash(77)), ..position(5) };
    assert_eq!(decide(&at(other), &notification, Some(&[])), pull(vec![]));
    // What is missing after our checkpoint is among them.
    let earlier = notified(6, Some(3), &[], Some(&heads));
    assert_eq!(decide(&at(position(4)), &earlier, Some(&[origin(2)])), pull(vec![peer(2)]));
    // Withheld events may lie before it.
    let mut from = at(position(5));
    from.is_withheld = true;
    assert_eq!(decide(&from, &notification, Some(&[])), pull(vec![]));
}

#[test]
fn a_checkpoint_with_the_hash_of_the_whole_log_needs_no_heads() {
    let notification = notified(6, None, &[], None);
    assert_eq!(decide(&at(position(6)), &notification, None), Decision::UpToDate);
    for hash in [None, Some(LogHash(8))] {
        let decision = decide(&at(LogPosition { hash, ..position(6) }), &notification, None);
        assert_eq!(decision, Decision::Pull { creators: vec![] });
    }
}

#[test]
fn a_log_that_ends_before_our_checkpoint_or_otherwise_is_pulled() {
    let notification = notified(6, Some(0), &[], Some(&[]));
    assert_eq!(
        decide(&at(position(8)), &notification, Some(&[])),
        Decision::Pull { creators: vec![] }
    );
    let other = LogPosition { hash: Some(LogHash(77)), ..position(6) };
    assert_eq!(decide(&at(other), &notification, Some(&[])), Decision::Pull { creators: vec![] });
}

fn open(dir: &tempfile::TempDir) -> Log {
    Log::open(dir.path(), Arc::new(SecretKey::generate().unwrap()), false).unwrap().0
}

/// What a log with one event tells, with the head of another origin of which it relays an event.
async fn notification(of: &Log) -> NotifyParams {
    let body = RawValue::from_string("{}".to_owned()).unwrap();
    let event_type = "test.happened".to_owned();
    let draft = Draft { event_id: None, event_type, project: None, body };
    of.append(vec![draft]).await.unwrap();
    let (examined, sent) = (LogPosition::START, LogPosition::START);
    let request = NewsRequest { peer: crate::testing::daemon(), examined, sent, relayed: false };
    let news = of.news(request, std::sync::Arc::new(|_| false)).await.unwrap().content.unwrap();
    let mut heads = news.heads.unwrap();
    let relayed = Head { origin_daemon: crate::testing::daemon(), ..heads[0] };
    heads.push(Head { origin_sequence: OriginSequence(3), ..relayed });
    let latest = LogPosition { sequence: Sequence(4), hash: Some(LogHash(4)) };
    NotifyParams {
        after_seq: Some(Sequence::ZERO),
        heads: Some(heads),
        runs: news.window,
        ..NotifyParams::of(of.daemon(), latest)
    }
}

#[tokio::test]
async fn what_a_window_leaves_out_is_pulled_and_not_confirmed() {
    let dirs = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
    let [theirs, ours] = dirs.each_ref().map(open);
    let params = notification(&theirs).await;
    let received = receive(&ours, theirs.daemon(), params).await;
    assert_eq!(received.applied.applied, 1);
    assert_eq!(received.answer.unwrap().held_seq, Sequence::ZERO);
    let needed = matches!(received.input, Some(Input::PullNeeded { latest: Sequence(4), .. }));
    assert!(needed, "{:?}", received.input);
}

/// The same notification without the head of another origin: its window is all that the log holds.
async fn whole_notification(of: &Log) -> NotifyParams {
    let params = notification(of).await;
    let heads = params.heads.map(|heads| heads[..1].to_vec());
    let latest_hash = of.head().position.hash;
    NotifyParams { latest_seq: Sequence(1), latest_hash, heads, ..params }
}

#[tokio::test]
async fn events_that_are_withheld_are_not_confirmed() {
    let dirs = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
    let [theirs, ours] = dirs.each_ref().map(open);
    let (peer, params) = (theirs.daemon(), whole_notification(&theirs).await);
    let told = async |runs, heads| {
        let params = NotifyParams { runs, heads, ..params.clone() };
        let received = receive(&ours, peer, params).await;
        let needed = matches!(received.input, Some(Input::PullNeeded { .. }));
        (received.answer.unwrap().held_seq.0, needed, received.applied.withheld)
    };
    let bring = async |peer, runs: Vec<Run>| {
        let page = IncomingPage::read(runs);
        let from = Checkpoint::default();
        let (epoch, checkpoint, held) = (None, None, None);
        let batch = Batch { peer, epoch, from, page, checkpoint, held, is_whole: false };
        ours.apply(batch).await.unwrap();
    };
    // The peer has introduced all that it may.
    bring(peer, Vec::new()).await;
    let budget = |introduced: u32, at: i64| {
        let sql = rusqlite::Connection::open(dirs[1].path().join("log.db")).unwrap();
        let set = "UPDATE checkpoints SET introduced = ?1, introduced_at = ?2";
        assert_eq!(sql.execute(set, (introduced, at)).unwrap(), 1);
    };
    budget(1_000_000, crate::clock::now().as_millis());
    let (runs, heads) = (params.runs.clone(), params.heads.clone());
    assert_eq!(told(runs.clone(), heads.clone()).await, (0, true, 1));
    assert!(ours.checkpoint(peer).await.unwrap().is_withheld);
    // The checkpoint is at the end now, and says nothing.
    assert_eq!(told(None, heads.clone()).await, (0, true, 0));
    assert_eq!(told(None, None).await, (0, true, 0));
    // Another peer brings the event: with it everything is here.
    bring(crate::testing::daemon(), runs.unwrap()).await;
    assert_eq!(told(None, None).await, (0, true, 0));
    assert_eq!(told(None, heads).await, (1, false, 0));
    assert!(!ours.checkpoint(peer).await.unwrap().is_withheld);
    // The hash of the whole log needs no heads.
    assert_eq!(told(None, None).await, (1, false, 0));
}

#[tokio::test]
async fn a_notification_that_our_log_failed_is_pulled_later() {
    let dirs = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
    let [theirs, ours] = dirs.each_ref().map(open);
    let params = notification(&theirs).await;
    ours.close().await.unwrap();
    let received = receive(&ours, theirs.daemon(), params).await;
    assert_eq!(received.answer.unwrap_err().code, ErrorCode::INTERNAL);
    let needed = matches!(received.input, Some(Input::PullNeeded { .. }));
    assert!(needed, "{:?}", received.input);
}

#[tokio::test]
async fn a_log_as_long_as_the_one_that_was_lost_is_not_confirmed() {
    let dirs = [(); 3].map(|()| tempfile::TempDir::new().unwrap());
    let [lost, theirs, ours] = dirs.each_ref().map(open);
    let window = NotifyParams { daemon_id: theirs.daemon(), ..notification(&lost).await };
    let heads = window.heads.clone().map(|heads| heads[..1].to_vec());
    let latest_hash = lost.head().position.hash;
    let whole = NotifyParams { latest_seq: Sequence(1), latest_hash, heads, ..window };
    let received = receive(&ours, theirs.daemon(), whole).await;
    assert_eq!(received.answer.unwrap().held_seq, Sequence(1));
    // The same daemon with another first event.
    let params = notification(&theirs).await;
    let latest_hash = theirs.head().position.hash;
    let other = NotifyParams { latest_seq: Sequence(1), latest_hash, runs: None, ..params };
    let received = receive(&ours, theirs.daemon(), other).await;
    assert_eq!(received.answer.unwrap().held_seq, Sequence::ZERO);
    assert!(matches!(received.input, Some(Input::PullNeeded { .. })));
}

#[test]
fn a_large_window_is_parsed_while_another_thread_is_the_worker() {
    let (started, threads) = std::sync::mpsc::channel();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(move || {
            started.send(()).unwrap();
        })
        .build()
        .unwrap();
    threads.recv().unwrap();
    let mut params = NotifyParams::of(peer(1), position(1));
    params.runs = Some(vec![unproved(1, format!("\"{}\"", "x".repeat(200_000)))]);
    let work = runtime.spawn(async move { Notification::read(peer(1), &mut params) });
    assert!(!runtime.block_on(work).unwrap().window.page.is_empty());
    threads.recv_timeout(std::time::Duration::from_secs(30)).expect("another worker");
}

#[tokio::test]
async fn a_notification_with_an_unsigned_run_is_refused_and_the_rest_of_it_is_stored() {
    let dirs = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
    let [theirs, ours] = dirs.each_ref().map(open);
    let params = whole_notification(&theirs).await;
    let good = params.runs.clone().unwrap().remove(0);
    let forged = Run { signature: Signature([7; 64]), ..good.clone() };
    for runs in [vec![unproved(2, "{}".to_owned()), good], vec![forged]] {
        let news = NotifyParams { runs: Some(runs), ..params.clone() };
        let received = receive(&ours, theirs.daemon(), news).await;
        assert_eq!(received.applied.refused, 1);
        let error = received.answer.unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
        assert!(error.message.ends_with("did not sign: 1"), "{}", error.message);
        let input = received.input;
        assert!(matches!(input, Some(Input::NotificationRefused { .. })), "{input:?}");
        assert_eq!(ours.head().position.sequence, Sequence(1), "the good one, once");
    }
    assert!(ours.checkpoint(theirs.daemon()).await.unwrap().is_withheld);
    assert_eq!(ours.quarantined().await.unwrap().entries.len(), 2);
}

#[tokio::test]
async fn a_notification_with_more_events_than_a_page_is_refused_as_a_whole() {
    let dir = tempfile::TempDir::new().unwrap();
    let ours = open(&dir);
    let told = async |events: usize| {
        let Run { previous, signature, events: one } = unproved(1, "{}".to_owned());
        let runs = vec![Run { previous, signature, events: vec![one[0].clone(); events] }];
        let params = NotifyParams::of(peer(1), position(1));
        receive(&ours, peer(1), NotifyParams { runs: Some(runs), ..params }).await
    };
    let most = NOTIFY_MAX_EVENTS + PULL_MAX_EVENTS;
    assert!(told(most).await.answer.is_ok());
    let received = told(most + 1).await;
    let error = received.answer.unwrap_err();
    assert!(error.message.starts_with("runs: 1129 events; at most 128"), "{}", error.message);
    assert!(received.input.is_none());
}
