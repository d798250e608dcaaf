//! Log lines on stderr. Under systemd the journal adds the time and reads the level from a prefix.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::IsTerminal;
use std::str::FromStr;
use std::sync::OnceLock;

use parking_lot::Mutex;
use thrum_api::visible::visible;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock;
use crate::log_rate_limit::{Admitted, LogRateLimiter};

/// The field of a log line that is not shown and says which machine caused it. The lines of each are limited by
/// themselves, so that one machine can't hide what is logged of another.
const ABOUT: &str = "about";

/// The formatter of log lines. It limits those of each call site and machine: a burst, then one a minute.
struct Lines {
    line: Line,
    limits: Mutex<HashMap<Identifier, LogRateLimiter<String>>>,
}

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
        .event_format(Lines::new(line));
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

impl Lines {
    /// How many lines of a call site and a machine are logged before minutes are counted.
    const BURST: u32 = 10;

    fn new(line: Line) -> Self {
        Self { line, limits: Mutex::default() }
    }

    /// Whether the line may be logged. Debugging, which a person asked for, is not limited.
    fn admit(&self, event: &Event<'_>, about: String) -> Option<Admitted> {
        if *event.metadata().level() > Level::INFO {
            return Some(Admitted { left_out: 0, is_last: false });
        }
        let mut limits = self.limits.lock();
        let limit = limits.entry(event.metadata().callsite());
        limit.or_insert_with(|| LogRateLimiter::new(Self::BURST)).admit(about)
    }
}

/// The text of an event, and whom it is about.
#[derive(Default)]
struct Text {
    text: String,
    about: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string can't fail.
        let _written = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            ABOUT => write!(self.about, "{value:?}"),
            name => write!(self.text, " {name}={value:?}"),
        };
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut seen = Text::default();
        event.record(&mut seen);
        let Text { mut text, about } = seen;
        let Some(Admitted { left_out, is_last }) = self.admit(event, about) else { return Ok(()) };
        if left_out > 0 {
            write!(text, " (and {left_out} lines like this one were left out)")?;
        } else if is_last {
            write!(text, " (from here on, lines like this one are written once a minute)")?;
        }
        let level = *event.metadata().level();
        match self.line {
            Line::Journal => write!(to, "<{}>", priority(level))?,
            Line::Plain => {
                write!(to, "{} ", clock::now())?;
                match (to.has_ansi_escapes(), level) {
                    (true, Level::ERROR) => write!(to, "\u{1b}[31m{level:>5}\u{1b}[0m ")?,
                    (true, Level::WARN) => write!(to, "\u{1b}[33m{level:>5}\u{1b}[0m ")?,
                    _ => write!(to, "{level:>5} ")?,
                }
            }
        }
        // As a whole, whatever is logged: much of it comes from peers and programs.
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
    use std::time::Duration;

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

    fn subscriber(
        line: Line,
        buffer: &Buffer,
    ) -> impl Subscriber + Send + std::marker::Sync + use<> {
        let writer = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(Lines::new(line));
        tracing_subscriber::registry().with(layer)
    }

    fn logged(line: Line, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        tracing::subscriber::with_default(subscriber(line, &buffer), log);
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

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_machine_is_cut_short_and_hides_no_line_of_another() {
        let buffer = Buffer::default();
        let _logger = tracing::subscriber::set_default(subscriber(Line::Journal, &buffer));
        let flood = |about: u64| {
            (0..1_000).for_each(|_| tracing::warn!(about, "refused"));
            std::mem::take(&mut *buffer.0.lock().unwrap())
        };
        let burst = "<4>refused\n".repeat(9)
            + "<4>refused (from here on, lines like this one are written once a minute)\n";
        assert_eq!(String::from_utf8(flood(1)).unwrap(), burst);
        assert_eq!(String::from_utf8(flood(2)).unwrap(), burst);
        tokio::time::advance(Duration::from_secs(60)).await;
        let later = "<4>refused (and 990 lines like this one were left out)\n";
        assert_eq!(String::from_utf8(flood(1)).unwrap(), later);
        (0..1_000).for_each(|_| tracing::debug!("asked for"));
        assert_eq!(buffer.0.lock().unwrap().split(|byte| *byte == b'\n').count(), 1_001);
    }
}
