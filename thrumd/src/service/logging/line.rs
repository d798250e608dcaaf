//! Log lines: the text and the fields of an event, and a limit for those that others can cause.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

use parking_lot::Mutex;
use thrum_api::DaemonId;
use thrum_api::visible::visible;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::log_rate_limit::{Admitted, LogRateLimiter};

/// The field of a log line that is not shown and says which machine caused it: its daemon id or its address. The
/// lines of each are limited by themselves, so that one machine can't hide what is logged of another.
const ABOUT: &str = "about";

/// What the names of fields begin with that are not shown, and that only the journal gets: `journal.peer` as `PEER`.
const JOURNAL: &str = "journal.";

/// The field with the daemon that a line is about.
const DAEMON_ID: &str = "DAEMON_ID";

/// A log line.
#[derive(Debug)]
pub(super) struct LogLine {
    pub(super) level: Level,
    /// On one line, whatever is logged: much of it comes from peers and programs.
    pub(super) text: String,
    /// Names and values for the journal.
    pub(super) fields: Vec<(String, String)>,
}

impl LogLine {
    /// The priority of syslog(3).
    pub(super) const fn priority(&self) -> u8 {
        match self.level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        }
    }
}

/// Makes the lines of events. It limits those of each call site and machine: a burst, then one a minute.
#[derive(Default)]
pub(super) struct LogLines {
    limits: Mutex<HashMap<Identifier, LogRateLimiter<String>>>,
}

impl LogLines {
    /// How many lines of a call site and a machine are logged before minutes are counted.
    const BURST: u32 = 10;

    /// The line of an event, if it may be logged.
    pub(super) fn line(&self, event: &Event<'_>) -> Option<LogLine> {
        let mut seen = Seen::default();
        event.record(&mut seen);
        let Seen { mut text, about, mut fields } = seen;
        if fields.iter().any(|(name, _)| name == DAEMON_ID) {
            // The line names the one that it means.
        } else if about.parse::<DaemonId>().is_ok() {
            fields.push((DAEMON_ID.to_owned(), about.clone()));
        } else if about.parse::<IpAddr>().is_ok() {
            fields.push(("ADDRESS".to_owned(), about.clone()));
        }
        let Admitted { left_out, is_last } = self.admit(event, about)?;
        // Writing to a string can't fail.
        let _written = if left_out > 0 {
            write!(text, " (and {left_out} lines like this one were left out)")
        } else if is_last {
            write!(text, " (from here on, lines like this one are written once a minute)")
        } else {
            Ok(())
        };
        for (_, value) in &mut fields {
            *value = visible(value).into_owned();
        }
        Some(LogLine {
            level: *event.metadata().level(),
            text: visible(&text).into_owned(),
            fields,
        })
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

/// The text of an event, whom it is about, and its fields for the journal.
#[derive(Default)]
struct Seen {
    text: String,
    about: String,
    fields: Vec<(String, String)>,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name().strip_prefix(JOURNAL) {
            Some(name) => self.fields.push((name.to_ascii_uppercase(), value.to_owned())),
            None => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name().starts_with(JOURNAL) {
            return self.record_str(field, &format!("{value:?}"));
        }
        // Writing to a string can't fail.
        let _written = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            ABOUT => write!(self.about, "{value:?}"),
            name => write!(self.text, " {name}={value:?}"),
        };
    }
}
