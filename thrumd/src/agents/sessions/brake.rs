//! The brake: two agents that only answer each other are not woken for each other for ever.
//!
//! It counts the messages between an agent of this machine and each other agent. A row of them ends with a prompt of a
//! person, with work, or with a pause; so does the brake. Whoever uses many names is counted, too: by its daemon, in a row
//! that work doesn't end, as messages may cause that.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use thrum_api::DaemonId;
use thrum_api::local::{BRAKE_DAEMON_MESSAGES, BRAKE_MESSAGES, BRAKE_SECONDS};
use tokio::time::Instant;

const WITHIN: Duration = Duration::from_secs(BRAKE_SECONDS);
/// Other agents at most with whom messages are counted, and other daemons.
const ROWS_MAX: usize = 256;

/// Another agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Other {
    pub agent: String,
    pub daemon: DaemonId,
}

/// For whom the brake is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Braked {
    /// This agent.
    Agent,
    /// All agents of its daemon.
    Daemon,
}

/// The brake of an agent.
#[derive(Debug, Default)]
pub struct Brake {
    agents: Rows<Other, BRAKE_MESSAGES>,
    daemons: Rows<DaemonId, BRAKE_DAEMON_MESSAGES>,
}

/// A row for each: so many messages set the brake.
#[derive(Debug)]
struct Rows<K, const MESSAGES: usize>(BTreeMap<K, Row>);

#[derive(Debug, Default)]
struct Row {
    /// When the newest messages were, the oldest first: so many at most as set the brake.
    at: VecDeque<Instant>,
    is_on: bool,
}

impl Brake {
    /// A message went between the agent and another one. Answers whether this sets the brake. `is_remote`: the other one is
    /// of another daemon. Those of this one are of the same person.
    pub fn count(&mut self, other: &Other, is_remote: bool, now: Instant) -> Option<Braked> {
        let by_daemon = is_remote && self.daemons.count(&other.daemon, now);
        let by_agent = self.agents.count(other, now);
        match (by_daemon, by_agent) {
            (true, _) => Some(Braked::Daemon),
            (false, true) => Some(Braked::Agent),
            (false, false) => None,
        }
    }

    /// Whether the agent is not woken for this one.
    pub fn is_on(&self, other: &Other, now: Instant) -> bool {
        self.agents.is_on(other, now) || self.daemons.is_on(&other.daemon, now)
    }

    /// The agent worked.
    pub fn has_worked(&mut self) {
        self.agents.0.clear();
    }

    /// A person wrote a prompt.
    pub fn release(&mut self) {
        self.has_worked();
        self.daemons.0.clear();
    }
}

impl<K, const MESSAGES: usize> Default for Rows<K, MESSAGES> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Clone + Ord, const MESSAGES: usize> Rows<K, MESSAGES> {
    fn count(&mut self, with: &K, now: Instant) -> bool {
        let Self(rows) = self;
        rows.retain(|_, row| row.goes_on(now));
        if rows.len() >= ROWS_MAX && !rows.contains_key(with) {
            let last = |(_, row): &(&K, &Row)| row.at.back().copied();
            if let Some(oldest) = rows.iter().min_by_key(last).map(|(it, _)| it.clone()) {
                rows.remove(&oldest);
            }
        }
        let row = rows.entry(with.clone()).or_default();
        row.at.push_back(now);
        if row.at.len() > MESSAGES {
            row.at.pop_front();
        }
        let first = row.at.front().copied().unwrap_or(now);
        let is_full = row.at.len() == MESSAGES && now.duration_since(first) < WITHIN;
        let is_new = is_full && !row.is_on;
        row.is_on |= is_full;
        is_new
    }

    fn is_on(&self, with: &K, now: Instant) -> bool {
        self.0.get(with).is_some_and(|row| row.is_on && row.goes_on(now))
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
            if brake.count(&other(with), false, *now).is_some() {
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
    fn sixty_messages_with_agents_of_another_daemon_set_it_for_all_of_them_until_a_person_writes() {
        for is_remote in [true, false] {
            let (mut brake, mut now) = (Brake::default(), Instant::now());
            let mut count = |brake: &mut Brake, messages: usize| {
                let mut set = Vec::new();
                for number in 1..=messages {
                    now += SECOND;
                    if number % 10 == 0 {
                        brake.has_worked();
                    }
                    let by = brake.count(&other(&number.to_string()), is_remote, now);
                    set.extend(by.map(|by| (number, by)));
                }
                (set, brake.is_on(&other("new"), now))
            };
            let set: &[_] = if is_remote { &[(60, Braked::Daemon)] } else { &[] };
            assert_eq!(count(&mut brake, 80), (set.to_vec(), is_remote));
            brake.release();
            assert_eq!(count(&mut brake, 59), (Vec::new(), false));
        }
    }

    #[test]
    fn slow_messages_do_not_set_it() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        for _ in 0..100 {
            now += WITHIN / u32::try_from(BRAKE_MESSAGES - 1).unwrap() + SECOND;
            assert_eq!(brake.count(&other("a"), true, now), None);
        }
    }

    #[test]
    fn it_counts_with_so_many_others_and_no_more() {
        let (mut brake, mut now) = (Brake::default(), Instant::now());
        for number in 0..ROWS_MAX + 5 {
            now += Duration::from_millis(1);
            brake.count(&other(&number.to_string()), false, now);
        }
        assert_eq!(brake.agents.0.len(), ROWS_MAX);
        assert!(!brake.agents.0.contains_key(&other("0")));
    }
}
