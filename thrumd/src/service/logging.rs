//! Log lines on stderr. Under systemd the journal adds the time and reads the level from a prefix.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;
use std::sync::OnceLock;

use thrum_api::visible::visible;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock;

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// `<6>`, as sd-daemon(3) has it.
    Journal,
    /// Time and level.
    Plain,
}

/// Installs the logger for stderr. `filter` is the parsed setting `log`; a second call changes nothing.
pub fn log_to_stderr(filter: &str) {
    let (filter, handle) = reload::Layer::new(targets(filter));
    let line = if to_journal() { Line::Journal } else { Line::Plain };
    let colour = line == Line::Plain
        && std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .event_format(line);
    // An error means that a subscriber is installed already, in tests.
    if tracing_subscriber::registry().with(filter).with(layer).try_init().is_ok() {
        drop(FILTER.set(handle));
    }
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

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        match self {
            Self::Journal => write!(to, "<{}>", priority(level))?,
            Self::Plain => {
                write!(to, "{} ", clock::now())?;
                match (to.has_ansi_escapes(), level) {
                    (true, Level::ERROR) => write!(to, "\u{1b}[31m{level:>5}\u{1b}[0m ")?,
                    (true, Level::WARN) => write!(to, "\u{1b}[33m{level:>5}\u{1b}[0m ")?,
                    _ => write!(to, "{level:>5} ")?,
                }
            }
        }
        // As a whole, whatever is logged: much of it comes from peers and programs.
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        writeln!(to, "{}", visible(&text))
    }
}

const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(line: Line, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(line);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_journal_gets_the_level_and_everyone_else_the_time() {
        let log = || tracing::warn!("disk is {}", "full");
        assert_eq!(logged(Line::Journal, log), "<4>disk is full\n");
        let plain = logged(Line::Plain, log);
        let (time, rest) = plain.split_once(' ').unwrap();
        assert_eq!(rest, " WARN disk is full\n");
        assert!(time.ends_with('Z'), "{time}");
    }

    #[test]
    fn nothing_invisible_gets_into_the_log_whoever_wrote_it() {
        let foreign = "a\u{200b}b\u{202e}c\nERROR forged\u{1b}[2J\u{2028}";
        let log = || tracing::warn!(name = foreign, shown = %foreign, "peer {foreign}");
        let line = logged(Line::Journal, log);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.trim_end().contains(thrum_api::visible::is_invisible), "{line:?}");
        assert_eq!(line.matches("ERROR forged").count(), 3, "{line}");
    }
}
