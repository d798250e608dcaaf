use thrum_api::Timestamp;
use thrum_api::duration::rounded;

use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use crate::clock;
use crate::command::output;

/// A clock this far before the build time is wrong. A day allows for time zones and copies.
const EARLY_MS: i64 = 86_400_000;
/// Tolerated difference: more than a machine without a time server drifts in months.
const AHEAD_MS: u64 = 5 * 60 * 1000;

/// Checks the clock. A wrong one breaks nothing, but displayed times and "who wrote last" are wrong.
pub async fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Clock);
    let now = clock::now();
    let set = built_ms().is_none_or(|built| now.as_millis() >= built.saturating_sub(EARLY_MS));
    found.add(if set {
        found.ok("clock_set", format!("it is {now}"))
    } else {
        let text = format!("this machine's clock says {now}, which is before thrum was built");
        found.fail("clock_set", text).next("sudo timedatectl set-ntp true")
    });
    found.add(if set {
        newest(context, &found, now)
    } else {
        found.because("clock_events", "clock_set", "not compared")
    });
    found.add(synchronized(&found).await);
    found.all
}

/// The build time of this program, taken from its file: packages keep that time.
fn built_ms() -> Option<i64> {
    let file = std::env::current_exe().ok()?;
    std::os::unix::fs::MetadataExt::mtime(&file.metadata().ok()?).checked_mul(1000)
}

/// Whether the newest event comes from the future.
fn newest(context: &CheckContext, found: &Findings, now: Timestamp) -> Finding {
    let id = "clock_events";
    let Ok(daemon) = &context.daemon else {
        return found.because(id, super::service::unasked(context), "not checked");
    };
    let events = daemon.newest.as_ref().map(|list| list.events.as_slice()).unwrap_or_default();
    let Some(event) = events.last() else {
        return found.ok(id, "there is no event to compare the clock with");
    };
    let Some(written) = written_at(event.event.get()) else {
        return found.skipped(id, "the newest event has no valid time");
    };
    let ahead = written.millis_since(now);
    if ahead > AHEAD_MS {
        let text = format!(
            "the newest event was written {} in the future: this clock is behind, or the clock of \
             the machine that wrote it is ahead",
            rounded(ahead)
        );
        return found.warn(id, text).next("date -u, on both machines").fact(rounded(ahead));
    }
    found.ok(id, "the newest event is not from the future")
}

fn written_at(event: &str) -> Option<Timestamp> {
    #[derive(serde::Deserialize)]
    struct Written {
        timestamp: Timestamp,
    }
    serde_json::from_str::<Written>(event).ok().map(|event| event.timestamp)
}

async fn synchronized(found: &Findings) -> Finding {
    let id = "clock_synchronized";
    let answer = output("timedatectl", &["show", "-p", "NTPSynchronized", "--value"], &[]).await;
    match answer.filter(|answer| answer.ok).as_ref().map(|answer| answer.stdout.trim()) {
        Some("yes") => found.ok(id, "the clock is synchronized with a time server"),
        Some("no") => found
            .warn(id, "the clock is not synchronized with a time server")
            .next("sudo timedatectl set-ntp true"),
        _ => found.skipped(id, "the system does not report whether the clock is synchronized"),
    }
}
