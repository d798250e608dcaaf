//! Log lines on stderr.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::line::LogLines;
use crate::clock;

/// The formatter of log lines for people: time, level, text.
#[derive(Default)]
pub(super) struct Plain(LogLines);

impl<S, N> FormatEvent<S, N> for Plain
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
        let Some(line) = self.0.line(event) else { return Ok(()) };
        let level = line.level;
        write!(to, "{} ", clock::now())?;
        match (to.has_ansi_escapes(), level) {
            (true, Level::ERROR) => write!(to, "\u{1b}[31m{level:>5}\u{1b}[0m ")?,
            (true, Level::WARN) => write!(to, "\u{1b}[33m{level:>5}\u{1b}[0m ")?,
            _ => write!(to, "{level:>5} ")?,
        }
        writeln!(to, "{}", line.text)
    }
}
