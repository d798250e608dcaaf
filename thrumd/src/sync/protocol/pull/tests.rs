use serde_json::value::RawValue;
use thrum_api::peer::{PullPage, Run};
use thrum_api::proof::{Chain, Signature};
use thrum_api::{Epoch, LogHash, LogPosition, Sequence, SequencedEvent};
use ulid::Ulid;

use super::{PageHeader, Pull, Step, split};
use crate::log::{Applied, Checkpoint};
use crate::sync::hub::tests::harness::{peer, position};
use crate::sync::hub::{Failure, FailureKind, PullResult};

/// The end of our log.
const OURS: Sequence = Sequence(10_000);

fn begin(position: LogPosition, epoch: Option<Epoch>) -> (Pull<&'static str>, Step<&'static str>) {
    let mut from = Checkpoint::default();
    (from.position, from.epoch) = (position, epoch);
    Pull::begin(peer(1), from)
}

fn page(sequences: &[u64], next: u64, head: u64) -> PageHeader {
    PageHeader {
        events: sequences.len(),
        last: sequences.iter().max().map_or(Sequence::ZERO, |last| Sequence(*last)),
        next: position(next),
        more_available: next < head,
        head: Sequence(head),
        epoch: None,
        held: None,
    }
}

fn apply(page: &'static str, checkpoint: u64) -> Step<&'static str> {
    Step::Apply { page, checkpoint: position(checkpoint) }
}

fn end(taken: u64, head: u64) -> Step<&'static str> {
    Step::End(PullResult::Done { checkpoint: Sequence(taken), head: Sequence(head) })
}

#[test]
fn the_next_page_is_asked_for_while_one_is_applied_and_never_a_third() {
    let (mut pull, first) = begin(LogPosition::START, None);
    assert_eq!(first, Step::Fetch(LogPosition::START));
    assert_eq!(pull.page(page(&[1, 2], 2, 6), "a"), [apply("a", 2), Step::Fetch(position(2))]);
    // Two pages are in memory: the third waits until the first is on disk.
    assert_eq!(pull.page(page(&[3, 4], 4, 6), "b"), []);
    assert_eq!(
        pull.applied(Ok(Applied::default()), OURS),
        [apply("b", 4), Step::Fetch(position(4))]
    );
    assert_eq!(pull.applied(Ok(Applied::default()), OURS), []);
    assert_eq!(pull.page(page(&[5, 6], 6, 6), "c"), [apply("c", 6)]);
    assert_eq!(pull.applied(Ok(Applied::default()), OURS), [end(6, 6)]);
}

#[test]
fn an_empty_page_moves_the_checkpoint_over_what_was_left_out() {
    let (mut pull, _) = begin(position(3), None);
    assert_eq!(pull.page(page(&[], 9, 9), "none"), [apply("none", 9)]);
    assert_eq!(pull.applied(Ok(Applied::default()), OURS), [end(9, 9)]);
}

#[test]
fn what_the_peer_holds_of_our_log_is_known_with_the_last_page() {
    let held = |n| Some(Sequence(n));
    let (mut pull, _) = begin(position(3), None);
    pull.page(PageHeader { held: held(7), ..page(&[4], 4, 5) }, "a");
    assert_eq!(pull.batch(position(4)).held, None, "more follows");
    pull.applied(Ok(Applied::default()), OURS);
    pull.page(PageHeader { held: held(8), ..page(&[5], 5, 5) }, "b");
    assert_eq!(pull.batch(position(5)).held, held(8));
}

#[test]
fn a_page_of_a_log_that_did_not_grow_keeps_the_checkpoint() {
    let (mut pull, _) = begin(position(3), None);
    let mut same = page(&[], 3, 3);
    same.next.hash = None;
    assert_eq!(pull.page(same, "none"), [apply("none", 3)]);
}

#[test]
fn the_last_page_of_a_log_that_was_read_from_its_start_makes_it_whole() {
    let withheld = |withheld| Applied { withheld, ..Applied::default() };
    let whole = |from: u64, first: usize| {
        let start = if from == 0 { LogPosition::START } else { position(from) };
        let (mut pull, _) = begin(start, None);
        pull.page(page(&[from + 1], from + 1, from + 2), "a");
        assert!(!pull.batch(position(from + 1)).is_whole, "more follows");
        pull.page(page(&[from + 2], from + 2, from + 2), "b");
        assert!(!pull.batch(position(from + 1)).is_whole, "more waits");
        pull.applied(Ok(withheld(first)), OURS);
        pull.batch(position(from + 2)).is_whole
    };
    assert!(whole(0, 0));
    assert!(!whole(0, 1) && !whole(3, 0));
}

#[test]
fn what_follows_withheld_events_is_known() {
    let is_behind = |position, is_withheld, withheld| {
        let mut from = Checkpoint::default();
        (from.position, from.is_withheld) = (position, is_withheld);
        let (mut pull, _) = Pull::begin(peer(1), from);
        let at = position.sequence.0;
        pull.page(page(&[at + 1], at + 1, at + 2), "a");
        let header = page(&[at + 2], at + 2, at + 2);
        pull.page(header.clone(), "b");
        pull.applied(Ok(Applied { withheld, ..Applied::default() }), OURS);
        pull.batch(header.next).from.is_withheld
    };
    assert!(!is_behind(position(3), false, 0));
    assert!(is_behind(position(3), true, 0));
    assert!(is_behind(LogPosition::START, false, 1));
    // What was withheld when the log was read before comes again.
    assert!(!is_behind(LogPosition::START, true, 0));
}

#[test]
fn a_log_of_which_events_were_withheld_is_read_again() {
    let done = PullResult::Done { checkpoint: Sequence(3), head: Sequence(3) };
    let end = |position, is_withheld| {
        let mut from = Checkpoint::default();
        (from.position, from.is_withheld) = (position, is_withheld);
        let (pull, _) = Pull::<()>::begin(peer(1), from);
        pull.finish(done.clone(), |is_withheld| is_withheld)
    };
    assert_eq!(end(position(3), true), PullResult::OtherLog);
    assert_eq!(end(position(3), false), done);
    assert_eq!(end(LogPosition::START, true), done, "it was read from its start just now");
}

fn refused_page(after: u64, header: PageHeader) -> String {
    let (mut pull, _) = begin(position(after), None);
    let steps = pull.page(header, "bad");
    let [Step::End(PullResult::Failed(Failure { kind: FailureKind::BadAnswer, text }))] =
        &steps[..]
    else {
        panic!("{steps:?}");
    };
    text.clone()
}

#[test]
fn a_page_with_too_many_events_in_all_its_runs_is_refused() {
    let page_of = |first: u64, second: u64| {
        let run = |from: u64, count: u64| Run {
            previous: Chain([0; 32]),
            signature: Signature([0; 64]),
            events: (from..from + count).map(sequenced).collect(),
        };
        PullPage {
            runs: vec![run(1, first), run(1 + first, second)],
            next_seq: Sequence(first + second),
            next_hash: None,
            more_available: false,
            head_seq: Sequence(first + second),
            floor_seq: Sequence::ZERO,
            epoch: None,
            held_seq: None,
        }
    };
    let (header, runs) = split(page_of(1200, 801));
    assert_eq!((header.events, header.last, runs.len()), (2001, Sequence(2001), 2));
    assert_eq!(refused_page(0, header), "its page has 2001 events; at most 2000 fit");
    let (header, _) = split(page_of(1200, 800));
    let (mut pull, _) = begin(LogPosition::START, None);
    let checkpoint = header.next;
    assert_eq!(pull.page(header, "most"), [Step::Apply { page: "most", checkpoint }]);
}

fn sequenced(at: u64) -> SequencedEvent {
    let event = RawValue::from_string("{}".to_owned()).unwrap();
    SequencedEvent { sequence: Sequence(at), event }
}

#[test]
fn the_events_of_a_page_are_in_any_order() {
    // A run is completed from elsewhere in the log, before or after the positions that are asked for.
    let (mut pull, _) = begin(position(5), None);
    assert_eq!(pull.page(page(&[7, 2, 6], 7, 7), "runs"), [apply("runs", 7)]);
}

#[test]
fn a_page_with_refused_runs_moves_the_checkpoint_and_ends_the_pull_as_a_bad_answer() {
    let (mut pull, _) = begin(LogPosition::START, None);
    assert_eq!(pull.page(page(&[1, 2], 2, 6), "a"), [apply("a", 2), Step::Fetch(position(2))]);
    assert_eq!(pull.page(page(&[3, 4], 4, 6), "never applied"), []);
    let applied = Applied { applied: 1, refused: 1, ..Applied::default() };
    let steps = pull.applied(Ok(applied), OURS);
    let [Step::End(PullResult::Failed(Failure { kind: FailureKind::BadAnswer, text }))] =
        &steps[..]
    else {
        panic!("{steps:?}");
    };
    assert_eq!(
        text,
        "it brings events that the machines which are said to have written them did not sign: 1"
    );
    // The batch of a later page says that something before it is not here.
    assert!(pull.batch(position(4)).from.is_withheld);
}

#[test]
fn a_page_that_does_not_move_on_is_refused() {
    assert_eq!(refused_page(5, page(&[], 5, 9)), "its page after position 5 ends at position 5");
    assert_eq!(refused_page(5, page(&[], 4, 9)), "its page after position 5 ends at position 4");
}

#[test]
fn a_page_beyond_the_end_of_the_log_is_refused() {
    let text = "its page goes to position 9 of a log that ends at position 7";
    assert_eq!(refused_page(5, page(&[6], 9, 7)), text);
    // Also where only an event does.
    assert_eq!(refused_page(5, page(&[6, 9], 7, 7)), text);
}

#[test]
fn pages_applied_before_a_failure_stay_and_later_ones_are_dropped() {
    let (mut pull, _) = begin(LogPosition::START, None);
    pull.page(page(&[1, 2], 2, 6), "a");
    assert_eq!(pull.page(page(&[3], 2, 6), "bad"), []);
    let steps = pull.applied(Ok(Applied::default()), OURS);
    assert!(matches!(steps[..], [Step::End(PullResult::Failed(_))]), "{steps:?}");
}

#[test]
fn a_page_that_can_t_be_applied_ends_the_pull_while_the_next_is_fetched() {
    let (mut pull, _) = begin(LogPosition::START, None);
    pull.page(page(&[1, 2], 2, 6), "a");
    let failure = Failure::local("no space left".to_owned());
    let steps = pull.applied(Err(failure.clone()), OURS);
    assert_eq!(steps, [Step::End(PullResult::Failed(failure))]);
}

#[test]
fn another_log_in_the_middle_of_a_pull_ends_it() {
    let (mut pull, _) = begin(LogPosition::START, None);
    pull.page(page(&[1, 2], 2, 6), "a");
    assert_eq!(pull.refused(PullResult::OtherLog), []);
    assert_eq!(pull.applied(Ok(Applied::default()), OURS), [Step::End(PullResult::OtherLog)]);
}

#[test]
fn a_page_of_another_epoch_is_of_another_log_even_if_its_place_matches() {
    let epoch = |n| Some(Epoch::from_ulid(Ulid(n)));
    let header = |n| PageHeader { epoch: epoch(n), ..page(&[6], 6, 6) };
    let (mut pull, _) = begin(position(5), epoch(1));
    assert_eq!(pull.page(header(2), "other"), [Step::End(PullResult::OtherLog)]);
    let (mut pull, _) = begin(position(5), epoch(1));
    assert_eq!(pull.page(header(1), "same"), [apply("same", 6)]);
    // A pull from the start has no epoch to compare; nor has a checkpoint without one.
    let (mut pull, _) = begin(LogPosition::START, epoch(1));
    assert_eq!(pull.page(header(2), "new"), [apply("new", 6)]);
    assert_eq!(pull.batch(position(6)).epoch, epoch(2));
    let (mut pull, _) = begin(position(5), None);
    assert_eq!(pull.page(header(2), "first"), [apply("first", 6)]);
}

/// Pulls pages that advance by `step` and bring `applied`, as many as are taken. Returns how many.
fn endless(step: u64, applied: &Applied) -> (u64, Option<PullResult>) {
    let (mut pull, _) = begin(LogPosition::START, None);
    for pages in 1..=5000 {
        pull.page(page(&[], pages * step, u64::MAX), "page");
        for step in pull.applied(Ok(*applied), OURS) {
            if let Step::End(result) = step {
                return (pages, Some(result));
            }
        }
    }
    (5000, None)
}

#[test]
fn pages_that_bring_nothing_end_at_what_an_honest_peer_could_leave_out() {
    for (step, most) in [(1, 500), (20_000, 6), (u64::MAX / 5000, 1)] {
        let (pages, end) = endless(step, &Applied::default());
        assert!(pages <= most, "{pages} pages that advance by {step}");
        let Some(PullResult::Failed(failure)) = end else { panic!("{end:?}") };
        assert_eq!(failure.kind, FailureKind::BadAnswer);
    }
    // The first garbage ends it.
    let garbage = Applied { refused: 1, ..Applied::default() };
    assert_eq!(endless(1, &garbage).0, 1);
    // As many as the peer has, if each brings something.
    let news = Applied { applied: 1, ..Applied::default() };
    assert_eq!(endless(1, &news), (5000, None));
}

#[test]
fn all_that_this_log_holds_may_be_left_out() {
    // 20,000 rows are looked at for each page.
    let ours = Sequence(10_000_000);
    let (mut pull, _) = begin(LogPosition::START, None);
    for pages in 1..=500 {
        let next = pages * 20_000;
        let steps = pull.page(page(&[], next, ours.0), "none");
        assert!(!steps.iter().any(|step| matches!(step, Step::End(_))), "{steps:?}");
        let steps = pull.applied(Ok(Applied::default()), ours);
        let ended = steps.iter().find(|step| matches!(step, Step::End(_)));
        assert_eq!(ended, (pages == 500).then_some(&end(ours.0, ours.0)));
    }
}

#[test]
fn a_checkpoint_without_a_hash_gets_it_from_a_page_that_brings_nothing() {
    let without = LogPosition { hash: None, ..position(3) };
    // A page that knows less takes nothing away.
    let with = LogPosition { hash: Some(LogHash(7)), ..without };
    // A peer that found a damaged row has another hash than before.
    let since = LogPosition { hash: Some(LogHash(8)), ..with };
    for (known, next, kept) in [(without, with, with), (with, without, with), (with, since, since)]
    {
        let (mut pull, _) = begin(known, None);
        let header = PageHeader { next, ..page(&[], 3, 3) };
        assert_eq!(pull.page(header, "none"), [Step::Apply { page: "none", checkpoint: kept }]);
    }
}
