//! The report of the demo, as a table and as JSON.

use std::time::Duration;

use serde::Serialize;
use thrum_api::local::DeliveryState;

use super::messages::Direction;
use crate::format::{count, micros, size};
use crate::render::table::Table;

/// The results of one demo.
#[derive(Debug, Serialize)]
pub struct Report {
    /// From the first machine to the second, then back.
    pub messages: Vec<Messages>,
    /// A message that was sent while one daemon was dead, through all states.
    pub delivery: Vec<Step>,
    /// Events that were written while one daemon was dead.
    pub outage_events: u64,
    /// How long it took to catch up, from the start of the process.
    pub catch_up_ms: u64,
    /// Events per second while it caught up.
    pub catch_up_events_per_second: u64,
    /// Events that both logs hold, each exactly once.
    pub events_in_both_logs: u64,
    /// Memory of each daemon.
    pub daemons: Vec<Daemon>,
    /// How long the demo took.
    pub took_ms: u64,
}

/// Messages of one direction.
#[derive(Debug, Serialize)]
pub struct Messages {
    from: &'static str,
    to: &'static str,
    sent: u32,
    received: u32,
    p50_us: u64,
    p99_us: u64,
}

/// A state of a message.
#[derive(Debug, Serialize)]
pub struct Step {
    /// The state.
    pub state: DeliveryState,
    /// How long it took until the sender was told of it, in microseconds.
    pub took_us: u64,
}

/// One daemon.
#[derive(Debug, Serialize)]
pub struct Daemon {
    /// Its name.
    pub name: &'static str,
    /// Its state directory, if it keeps running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<String>,
    /// Its resident memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
}

impl Messages {
    /// The results of one direction.
    pub fn of(from: &'static str, to: &'static str, direction: &Direction) -> Self {
        Self {
            from,
            to,
            sent: direction.sent,
            received: direction.received,
            p50_us: as_micros(direction.percentile(50)),
            p99_us: as_micros(direction.percentile(99)),
        }
    }

    /// Whether every message arrived once.
    pub const fn complete(&self) -> bool {
        self.sent == self.received
    }
}

fn as_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Report {
    /// The report as a table.
    pub fn lines(&self) -> Vec<String> {
        let mut table = Table::new(&["WHAT", "RESULT"]);
        let mut row = |what: String, result: String| table.row(vec![what, result]);
        for messages in &self.messages {
            let Messages { from, to, sent, received, p50_us, p99_us } = messages;
            let counts =
                format!("{} sent, {} received", count((*sent).into()), count((*received).into()));
            row(format!("messages {from} to {to}"), counts);
            let delay = format!("{} p50, {} p99", micros(*p50_us), micros(*p99_us));
            row("  acknowledged to readable".to_owned(), delay);
        }
        row(
            "written while one was dead".to_owned(),
            format!("{} events", count(self.outage_events)),
        );
        row(
            "  caught up".to_owned(),
            format!(
                "{} events/s, {} ms",
                count(self.catch_up_events_per_second),
                count(self.catch_up_ms)
            ),
        );
        for step in &self.delivery {
            let told = || format!("{} until the sender knew", micros(step.took_us));
            match step.state {
                DeliveryState::Stored => {
                    row("a message sent meanwhile".to_owned(), "stored".to_owned())
                }
                DeliveryState::There => {
                    row("  after the restart".to_owned(), format!("there, {}", told()))
                }
                DeliveryState::Read => {
                    row("  when it was shown".to_owned(), format!("read, {}", told()))
                }
                DeliveryState::Answered => {
                    row("  when it was answered".to_owned(), format!("answered, {}", told()))
                }
            }
        }
        row(
            "exactly once in both logs".to_owned(),
            format!("{} events", count(self.events_in_both_logs)),
        );
        for daemon in &self.daemons {
            let memory = daemon.resident_bytes.map_or_else(|| "?".to_owned(), size);
            row(format!("memory of {}", daemon.name), memory);
        }
        table.lines()
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn the_report_is_a_short_table() {
        let messages =
            |from, to| Messages { from, to, sent: 200, received: 200, p50_us: 840, p99_us: 2100 };
        let daemon = |name| Daemon { name, state_dir: None, resident_bytes: Some(11 << 20) };
        let report = Report {
            messages: vec![messages("laptop", "server"), messages("server", "laptop")],
            delivery: [
                (DeliveryState::Stored, 900),
                (DeliveryState::There, 5100),
                (DeliveryState::Read, 6200),
                (DeliveryState::Answered, 4300),
            ]
            .map(|(state, took_us)| Step { state, took_us })
            .into(),
            outage_events: 10_000,
            catch_up_ms: 430,
            catch_up_events_per_second: 23_255,
            events_in_both_logs: 10_402,
            daemons: vec![daemon("laptop"), daemon("server")],
            took_ms: 9000,
        };
        let lines: Vec<String> =
            report.lines().iter().map(|line| strip_str(line).to_string()).collect();
        insta::assert_snapshot!("report", lines.join("\n"));
    }
}
