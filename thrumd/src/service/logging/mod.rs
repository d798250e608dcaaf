//! Log lines on stderr, or in the journal with fields. The texts are the same in both.

mod journal;
mod line;
mod stderr;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write as _};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use journal::Journal;
use stderr::Plain;

/// Installs the logger. `filter` is the parsed setting `log`; a second call changes nothing.
pub fn log_to_stderr(filter: &str) {
    let (filter, handle) = reload::Layer::new(targets(filter));
    let journal = to_journal().then(|| Journal::new(journal::SOCKET, write_to_stderr, &IS_ENDING));
    let colour = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let plain = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(colour)
            .event_format(Plain::default())
    });
    // An error means that a subscriber is installed already, in tests.
    if tracing_subscriber::registry().with(filter).with(plain).with(journal).try_init().is_ok() {
        drop(FILTER.set(handle));
    }
}

/// Tells that the process is about to end, so that its last lines are found in the journal by its unit.
pub(super) fn end() {
    IS_ENDING.store(true, Ordering::Relaxed);
}

static IS_ENDING: AtomicBool = AtomicBool::new(false);

fn write_to_stderr(line: &str) {
    // A closed stderr can't show it.
    drop(std::io::stderr().lock().write_all(line.as_bytes()));
}

/// Whether stderr is the journal, by `JOURNAL_STREAM` (systemd.exec(5)). Children of a service inherit
/// the variable even if their stderr is another file.
pub fn to_journal() -> bool {
    let Some(named) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Changes the log filter.
pub fn set_filter(filter: &str) {
    let changed = FILTER.get().map(|handle| handle.reload(targets(filter)));
    if let Some(Err(error)) = changed {
        tracing::error!("can't change the log filter: {error}");
    }
}

static FILTER: OnceLock<reload::Handle<Targets, tracing_subscriber::Registry>> = OnceLock::new();

fn targets(filter: &str) -> Targets {
    Targets::from_str(filter).unwrap_or_else(|_| Targets::new().with_default(Level::INFO))
}
