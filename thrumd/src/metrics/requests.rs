//! Requests by method: how many, with which outcome, and how long they took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use thrum_api::ErrorCode;
use thrum_api::local::{
    MessageStatus, MessageWait, PeerAdd, PeerJoin, PeerWait, SessionMessages, SessionWake,
};
use thrum_api::method::{Method as _, MethodDescription};

use super::counters::label;
use super::histogram::Histogram;

label! {
    /// The kind of a socket for programs of this machine.
    LocalSurface {
        /// The socket for everything.
        Main = "local",
        /// Narrow sockets.
        Narrow = "narrow",
    }
}

/// Methods of programs of this machine that wait for something to happen.
const WAITING: &[&str] = &[
    MessageStatus::NAME,
    MessageWait::NAME,
    PeerAdd::NAME,
    PeerJoin::NAME,
    PeerWait::NAME,
    SessionMessages::NAME,
    SessionWake::NAME,
];

/// Instruments of the local API.
#[derive(Debug)]
pub struct LocalMetrics {
    main: RequestMetrics,
    narrow: RequestMetrics,
}

impl LocalMetrics {
    /// Requests on sockets of this kind.
    pub const fn of(&self, surface: LocalSurface) -> &RequestMetrics {
        match surface {
            LocalSurface::Main => &self.main,
            LocalSurface::Narrow => &self.narrow,
        }
    }
}

impl Default for LocalMetrics {
    fn default() -> Self {
        let requests = || RequestMetrics::new(thrum_api::local::ALL, WAITING);
        Self { main: requests(), narrow: requests() }
    }
}

/// What stands for a method or an error that is not known.
const OTHER: &str = "other";

/// The requests of one surface. What callers send chooses among known methods and codes only.
#[derive(Debug)]
pub struct RequestMetrics {
    /// In alphabetical order; what is not among them is counted behind the last one.
    methods: Box<[Requests]>,
    other: Requests,
}

#[derive(Debug)]
struct Requests {
    method: &'static str,
    /// By outcome: success, each known error, and all other errors.
    outcomes: Box<[AtomicU64]>,
    /// None for a method that waits for something to happen.
    durations: Option<Histogram>,
}

impl Requests {
    fn new(method: &'static str, waits: bool) -> Self {
        Self {
            method,
            outcomes: (0..ErrorCode::ALL.len() + 2).map(|_| AtomicU64::new(0)).collect(),
            durations: (!waits).then(|| Histogram::new(Histogram::REQUEST)),
        }
    }
}

impl RequestMetrics {
    /// For these methods. `waiting`: those that wait for something to happen.
    pub fn new(methods: &[MethodDescription], waiting: &[&str]) -> Self {
        let known = methods.iter().map(|it| Requests::new(it.name, waiting.contains(&it.name)));
        let mut methods: Box<[Requests]> = known.collect();
        methods.sort_unstable_by_key(|it| it.method);
        Self { methods, other: Requests::new(OTHER, true) }
    }

    /// Counts a request that was answered.
    pub fn answered(&self, method: &str, error: Option<ErrorCode>, took: Duration) {
        let known = self.methods.binary_search_by_key(&method, |it| it.method);
        let of = known.map_or(&self.other, |at| &self.methods[at]);
        let outcome = match error {
            None => 0,
            Some(code) => {
                let known = ErrorCode::ALL.iter().position(|(known, _)| *known == code);
                known.map_or(ErrorCode::ALL.len() + 1, |at| at + 1)
            }
        };
        of.outcomes[outcome].fetch_add(1, Ordering::Relaxed);
        if let Some(durations) = &of.durations {
            durations.observe(took);
        }
    }

    /// Method, outcome and number of the requests that there were.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, String, u64)> {
        self.all().flat_map(|of| {
            let counts = of.outcomes.iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
            let counts = counts.filter(|(_, count)| *count > 0);
            counts.map(|(outcome, count)| (of.method, word(outcome), count))
        })
    }

    /// Outcome and number of the requests that failed by a fault of this daemon or its disk, also where there were none: of
    /// a counter that begins with 1, `increase` does not see the first one.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [ErrorCode::INTERNAL, ErrorCode::STORAGE].into_iter().filter_map(|code| {
            let at = ErrorCode::ALL.iter().position(|(known, _)| *known == code)?;
            let of = |requests: &Requests| requests.outcomes[at + 1].load(Ordering::Relaxed);
            let word = if code == ErrorCode::STORAGE { "storage" } else { "internal_error" };
            Some((word, self.all().map(of).sum()))
        })
    }

    /// Method and durations of the requests that there were.
    pub(super) fn durations(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        let timed = self.all().filter_map(|of| Some((of.method, of.durations.as_ref()?)));
        timed.filter(|(_, durations)| durations.count() > 0)
    }

    fn all(&self) -> impl Iterator<Item = &Requests> {
        self.methods.iter().chain([&self.other])
    }
}

/// The outcome as a label.
fn word(outcome: usize) -> String {
    match outcome.checked_sub(1) {
        None => "ok".to_owned(),
        Some(at) => ErrorCode::ALL.get(at).map_or(OTHER, |(_, words)| words).replace(' ', "_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_makes_no_series() {
        let requests = RequestMetrics::new(thrum_api::peer::ALL, &[]);
        for n in 0..100 {
            let error = (n > 0).then_some(ErrorCode(n));
            requests.answered(&format!("sync.{n}"), error, Duration::ZERO);
        }
        requests.answered("sync.pull", None, Duration::ZERO);
        requests.answered("sync.pull", Some(ErrorCode::OTHER_LOG), Duration::ZERO);
        let counts: Vec<_> = requests.counts().collect();
        let expected = [
            ("sync.pull", "ok", 1),
            ("sync.pull", "checkpoint_is_not_of_this_log", 1),
            ("other", "ok", 1),
            ("other", "other", 99),
        ];
        assert_eq!(counts, expected.map(|(method, code, n)| (method, code.to_owned(), n)));
        let timed: Vec<_> = requests.durations().map(|(name, it)| (name, it.count())).collect();
        assert_eq!(timed, [("sync.pull", 2)]);
    }

    #[test]
    fn failures_are_counted_from_0() {
        let requests = RequestMetrics::new(thrum_api::local::ALL, &[]);
        assert_eq!(
            requests.failures().collect::<Vec<_>>(),
            [("internal_error", 0), ("storage", 0)]
        );
        for (method, code) in [
            ("message.send", ErrorCode::STORAGE),
            ("health", ErrorCode::INTERNAL),
            ("none of them", ErrorCode::STORAGE),
            ("message.send", ErrorCode::NOT_FOUND),
        ] {
            requests.answered(method, Some(code), Duration::ZERO);
        }
        assert_eq!(
            requests.failures().collect::<Vec<_>>(),
            [("internal_error", 1), ("storage", 2)]
        );
        let words: Vec<_> = requests.counts().map(|(_, word, _)| word).collect();
        assert!(words.iter().any(|word| word == "internal_error"), "the same words: {words:?}");
    }

    #[test]
    fn a_method_that_waits_has_no_durations() {
        let requests = RequestMetrics::new(thrum_api::local::ALL, &["message.wait"]);
        requests.answered("message.wait", None, Duration::from_secs(3600));
        assert_eq!(requests.counts().count(), 1);
        assert_eq!(requests.durations().count(), 0);
    }
}
