//! Who may pair by policy, and for how long, without a network.

mod desk;
mod hub;
mod lost;

use std::time::Duration;

use tokio::time::Instant;

use super::keep::{Finding, GONE, Keeper, SETTLE, Verdict};
use crate::ids;

fn lost() -> Finding {
    Finding::Lost("no grant".to_owned())
}

fn stays(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Stays(_))
}

#[test]
fn a_machine_that_left_goes_after_a_while_and_not_when_it_was_away_for_a_moment() {
    let (mut keeper, id, start) = (Keeper::default(), ids::daemon(), Instant::now());
    let mut at =
        |seconds, finding| keeper.judge(id, &finding, start + Duration::from_secs(seconds));
    assert!(stays(&at(0, Finding::Absent)));
    assert!(stays(&at(GONE.as_secs() - 1, Finding::Absent)));
    assert!(stays(&at(GONE.as_secs(), Finding::Granted)), "it is back");
    assert!(stays(&at(2 * GONE.as_secs(), Finding::Absent)), "counted from its second absence");
    assert!(stays(&at(2 * GONE.as_secs() + 1, Finding::Unknown)), "our own absence is not its");
    assert!(stays(&at(3 * GONE.as_secs(), Finding::Absent)));
    assert!(!stays(&at(4 * GONE.as_secs(), Finding::Absent)));
}

#[test]
fn a_grant_must_be_away_twice_in_a_row() {
    let (mut keeper, id, start) = (Keeper::default(), ids::daemon(), Instant::now());
    let mut after = |ticks, finding| keeper.judge(id, &finding, start + SETTLE * ticks);
    match after(0, lost()) {
        Verdict::Stays(again) => assert_eq!(again, start + SETTLE),
        Verdict::Goes => panic!("at first sight"),
    }
    assert!(stays(&after(1, Finding::Granted)));
    assert!(stays(&after(2, lost())));
    assert!(!stays(&after(3, lost())));
}
