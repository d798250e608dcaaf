//! Who may pair by policy, and for how long, with a recorded tailscaled.

mod harness;
mod request;
mod revoked;

use std::time::Duration;

use tokio::time::Instant;

use super::monitor::{ABSENCE_LIMIT, Decision, GrantMonitor, Observation, SETTLE};

fn revoked() -> Observation {
    Observation::Revoked("no grant".to_owned())
}

fn keeps(decision: &Decision) -> bool {
    matches!(decision, Decision::Keep(_))
}

#[test]
fn a_machine_that_left_is_removed_after_a_while_and_not_for_a_moments_absence() {
    let (mut monitor, id, start) =
        (GrantMonitor::default(), crate::testing::daemon(), Instant::now());
    let mut at = |seconds, observation| {
        monitor.decide(id, &observation, start + Duration::from_secs(seconds))
    };
    assert!(keeps(&at(0, Observation::Absent)));
    assert!(keeps(&at(ABSENCE_LIMIT.as_secs() - 1, Observation::Absent)));
    assert!(keeps(&at(ABSENCE_LIMIT.as_secs(), Observation::Granted)), "it is back");
    assert!(
        keeps(&at(2 * ABSENCE_LIMIT.as_secs(), Observation::Absent)),
        "counted from its second absence"
    );
    assert!(
        keeps(&at(2 * ABSENCE_LIMIT.as_secs() + 1, Observation::Unknown)),
        "while the tailnet can't be asked nothing counts"
    );
    assert!(keeps(&at(3 * ABSENCE_LIMIT.as_secs(), Observation::Absent)));
    assert!(!keeps(&at(4 * ABSENCE_LIMIT.as_secs(), Observation::Absent)));
}

#[test]
fn a_grant_must_be_missing_twice_in_a_row() {
    let (mut monitor, id, start) =
        (GrantMonitor::default(), crate::testing::daemon(), Instant::now());
    let mut after = |ticks, observation| monitor.decide(id, &observation, start + SETTLE * ticks);
    match after(0, revoked()) {
        Decision::Keep(again) => assert_eq!(again, start + SETTLE),
        Decision::Remove => panic!("after one observation"),
    }
    assert!(keeps(&after(1, Observation::Granted)));
    assert!(keeps(&after(2, revoked())));
    assert!(!keeps(&after(3, revoked())));
}
