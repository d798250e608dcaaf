//! The brake: two agents that only answer each other are not woken for each other for ever.
//!
//! It counts the messages between an agent of this machine and each other agent. A row of them ends with a prompt of a
//! person, with work, or with a pause; so does the brake.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use thrum_api::DaemonId;
use thrum_api::local::{BRAKE_MESSAGES, BRAKE_SECONDS};
use tokio::time::Instant;

const WITHIN: Duration = Duration::from_secs(BRAKE_SECONDS);
/// Other agents at most with whom messages are counted.
const ROWS_MAX: usize = 256;

/// Another agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Other {
    pub agent: String,
    pub daemon: DaemonId,
}

/// The brake of an agent.
#[derive(Debug, Default)]
pub struct Brake {
    rows: BTreeMap<Other, Row>,
}

#[derive(Debug, Default)]
struct Row {
    /// When the newest messages were, the oldest first: so many at most as set the brake.
    at: VecDeque<Instant>,
    is_on: bool,
}

impl Brake {
    /// A message went between the agent and another one. Answers whether this sets the brake.
    pub fn count(&mut self, other: &Other, now: Instant) -> bool {
        self.rows.retain(|_, row| row.goes_on(now));
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(other) {
            let last = |(_, row): &(&Other, &Row)| row.at.back().copied();
            if let Some(oldest) = self.rows.iter().min_by_key(last).map(|(it, _)| it.clone()) {
                self.rows.remove(&oldest);
            }
        }
        let row = self.rows.entry(other.clone()).or_default();
        row.at.push_back(now);
        if row.at.len() > BRAKE_MESSAGES {
            row.at.pop_front();
        }
        let first = row.at.front().copied().unwrap_or(now);
        let is_full = row.at.len() == BRAKE_MESSAGES && now.duration_since(first) < WITHIN;
        let is_new = is_full && !row.is_on;
        row.is_on |= is_full;
        is_new
    }

    /// Whether the agent is not woken for this one.
    pub fn is_on(&self, other: &Other, now: Instant) -> bool {
        self.rows.get(other).is_some_and(|row| row.is_on && row.goes_on(now))
    }

    /// A person wrote a prompt, or the agent worked.
    pub fn release(&mut self) {
        self.rows.clear();
    }
}

impl Row {
    fn goes_on(&self, now: Instant) -> bool {
        self.at.back().is_some_and(|last| now.duration_since(*last) < WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn other(agent: &str) -> Other {
        Other { agent: agent.to_owned(), daemon: DaemonId::from_bytes([7; 32]) }
    }

    /// Counts so many messages, a second after each other. Answers at which the brake was set, from 1.
    fn count(brake: &mut Brake, with: &str, now: &mut Instant, messages: usize) -> Vec<usize> {
        let mut set = Vec::new();
        for number in 1..=messages {
            *now += SECOND;
            if brake.count(&other(with), *now) {
                set.push(number);
            }
        }
        set
    }

    #[test]
    fn twenty_messages_with_one_other_set_it_once() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        assert_eq!(count(&mut brake, "a", &mut now, 19), [0_usize; 0]);
        assert_eq!(count(&mut brake, "b", &mut now, 19), [0_usize; 0]);
        assert!(!brake.is_on(&other("a"), now));
        assert_eq!(count(&mut brake, "a", &mut now, 30), [1]);
        assert!(brake.is_on(&other("a"), now) && !brake.is_on(&other("b"), now));
    }

    #[test]
    fn work_or_a_pause_ends_the_row() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        count(&mut brake, "a", &mut now, 19);
        brake.release();
        assert_eq!(count(&mut brake, "a", &mut now, 20), [20]);
        brake.release();
        assert!(!brake.is_on(&other("a"), now));
        assert_eq!(count(&mut brake, "a", &mut now, 21), [20]);
        let last = now;
        assert!(brake.is_on(&other("a"), last + WITHIN - SECOND));
        assert!(!brake.is_on(&other("a"), last + WITHIN));
        now += WITHIN;
        assert_eq!(count(&mut brake, "a", &mut now, 20), [20], "a new row is told again");
    }

    #[test]
    fn slow_messages_do_not_set_it() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        for _ in 0..100 {
            now += WITHIN / u32::try_from(BRAKE_MESSAGES - 1).unwrap() + SECOND;
            assert!(!brake.count(&other("a"), now));
        }
    }

    #[test]
    fn it_counts_with_so_many_others_and_no_more() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        for number in 0..ROWS_MAX + 5 {
            now += Duration::from_millis(1);
            brake.count(&other(&number.to_string()), now);
        }
        assert_eq!(brake.rows.len(), ROWS_MAX);
        assert!(!brake.rows.contains_key(&other("0")));
    }
}
