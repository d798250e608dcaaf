//! Rate limit for pairing codes by caller, across sessions: after a wrong code, its next one has to wait.

use std::time::Duration;

use tokio::time::Instant;

use super::pending::Machine;

/// The wait after the first wrong code. A person doesn't notice it; a program that guesses runs into it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The wait after the second one.
const SECOND_WAIT: Duration = Duration::from_secs(10);
/// The wait after the third one. It doubles with every further one.
const THIRD_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long after its wait a caller is forgotten.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// How many callers are remembered. A newer one replaces the one that was heard of least recently.
const CALLERS_MAX: usize = 256;

/// The callers that gave wrong codes.
#[derive(Debug, Default)]
pub(super) struct WrongCodes {
    /// The one that was heard of least recently first.
    callers: Vec<Caller>,
}

#[derive(Debug)]
struct Caller {
    machine: Machine,
    count: u32,
    may_try_at: Instant,
}

impl Caller {
    fn wait(&self) -> Duration {
        match self.count {
            0 | 1 => FIRST_WAIT,
            2 => SECOND_WAIT,
            // At most an hour, so the exponent needs no more than a few bits.
            n => LONGEST_WAIT.min(THIRD_WAIT * (1 << (n - 3).min(10))),
        }
    }
}

impl WrongCodes {
    /// How long this caller has to wait, if it came too early. Its wait then begins anew: a program that goes
    /// on guessing is never listened to.
    pub(super) fn came_too_early(&mut self, now: Instant, machine: &Machine) -> Option<Duration> {
        let at = self.callers.iter().position(|it| it.machine == *machine)?;
        if now >= self.callers[at].may_try_at {
            return None;
        }
        let mut caller = self.callers.remove(at);
        let wait = caller.wait();
        caller.may_try_at = now + wait;
        self.callers.push(caller);
        Some(wait)
    }

    /// Counts a wrong code. Returns how long the caller has to wait.
    pub(super) fn count(&mut self, now: Instant, machine: &Machine) -> Duration {
        self.callers.retain(|it| now < it.may_try_at + REMEMBERED);
        let known = self.callers.iter().position(|it| it.machine == *machine);
        let mut caller = match known {
            Some(at) => self.callers.remove(at),
            None => Caller { machine: machine.clone(), count: 0, may_try_at: now },
        };
        if self.callers.len() >= CALLERS_MAX {
            self.callers.remove(0);
        }
        caller.count = caller.count.saturating_add(1);
        let wait = caller.wait();
        caller.may_try_at = now + wait;
        self.callers.push(caller);
        wait
    }

    /// Lets every caller try again, as if it had waited.
    #[cfg(test)]
    pub(super) fn forgive_waits(&mut self) {
        self.callers.clear();
    }

    /// Forgets a caller: it gave the right code.
    pub(super) fn forget(&mut self, machine: &Machine) {
        self.callers.retain(|it| it.machine != *machine);
    }
}
