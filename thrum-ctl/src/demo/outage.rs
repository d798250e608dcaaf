//! The outage: one daemon is dead while the other writes; then it is restarted and catches up.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::value::to_raw_value;
use thrum_api::event::EventHeader;
use thrum_api::local::{AppendParams, EventAppend, EventList, EventListParams, Status};
use thrum_api::method::Empty;
use thrum_api::{Draft, EventId};
use tokio::time::{Instant, sleep};

use super::machine::{Machine, failed};
use crate::error::Error;

const BATCH: u32 = 500;
const PAGE: u32 = 1000;
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Limit for the time without a new event, after which the logs count as not converging.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Writes events in batches, and returns the acknowledged ids.
pub async fn write(
    machine: &Machine,
    number: u32,
    bar: &ProgressBar,
) -> Result<Vec<EventId>, Error> {
    let mut client = machine.client().await?;
    let mut acknowledged = Vec::new();
    let mut written = 0;
    while written < number {
        let batch = BATCH.min(number - written);
        let drafts = (written..written + batch).map(draft).collect::<Result<_, _>>();
        let events = drafts.map_err(|error| Error::io("can't write an event", error.into()))?;
        let result = client.call::<EventAppend>(&AppendParams { events }).await?;
        acknowledged.extend(result.appended.iter().map(|event| event.event_id));
        written += batch;
        bar.inc(u64::from(batch));
    }
    Ok(acknowledged)
}

fn draft(count: u32) -> Result<Draft, serde_json::Error> {
    let body = serde_json::json!({ "count": count, "text": "written while the other daemon was dead ".repeat(8) });
    Ok(Draft {
        event_id: None,
        event_type: "demo.note".to_owned(),
        project: Some("demo".to_owned()),
        body: to_raw_value(&body)?,
    })
}

/// Waits until both logs have the same number of events.
pub async fn converge(a: &Machine, b: &Machine, bar: &ProgressBar) -> Result<(), Error> {
    let (mut on_a, mut on_b) = (a.client().await?, b.client().await?);
    let mut last_progress = Instant::now();
    let mut before = None;
    loop {
        let of_a = on_a.call::<Status>(&Empty {}).await?.log.events;
        let of_b = on_b.call::<Status>(&Empty {}).await?.log.events;
        if of_a == of_b {
            return Ok(());
        }
        if let Some(before) = before.filter(|before| *before < of_b) {
            bar.inc(of_b - before);
        }
        if before != Some(of_b) {
            last_progress = Instant::now();
        }
        before = Some(of_b);
        if last_progress.elapsed() > TIMEOUT {
            return Err(failed(format!(
                "{} has {of_a} events and {} has {of_b}, and syncing has stopped",
                a.name, b.name
            )));
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// All events of a log by id, with their bytes.
///
/// # Errors
/// When an event occurs twice.
pub async fn log_of(machine: &Machine) -> Result<BTreeMap<EventId, Box<str>>, Error> {
    let mut client = machine.client().await?;
    let mut events = BTreeMap::new();
    let mut params = EventListParams { limit: Some(PAGE), ..Default::default() };
    loop {
        let page = client.call::<EventList>(&params).await?;
        for event in page.events {
            let text: Box<str> = event.event.get().into();
            let header: EventHeader = serde_json::from_str(&text).map_err(|error| {
                let what = format!("event {} of {} can't be read", event.sequence, machine.name);
                Error::io(what, error.into())
            })?;
            if events.insert(header.event_id, text).is_some() {
                return Err(failed(format!(
                    "event {} is twice in the log of {}",
                    header.event_id, machine.name
                )));
            }
        }
        if !page.more_available {
            return Ok(events);
        }
        params.after = page.next;
    }
}

/// Checks that both logs hold the same events, byte for byte, and all acknowledged ones. What was written at last, such as
/// a receipt, may still be on its way.
///
/// # Errors
/// When the logs stay different or an acknowledged event is missing.
pub async fn compare(a: &Machine, b: &Machine, acknowledged: &[EventId]) -> Result<u64, Error> {
    let begin = Instant::now();
    let log = loop {
        let (log_a, log_b) = (log_of(a).await?, log_of(b).await?);
        let Some((id, name)) = difference((&log_a, a.name), (&log_b, b.name)) else { break log_a };
        if begin.elapsed() > TIMEOUT {
            return Err(failed(format!("event {id} is missing or different in the log of {name}")));
        }
        sleep(POLL_INTERVAL).await;
    };
    if let Some(id) = acknowledged.iter().find(|id| !log.contains_key(id)) {
        return Err(failed(format!("event {id} was acknowledged but is lost")));
    }
    Ok(u64::try_from(log.len()).unwrap_or(u64::MAX))
}

/// The events of a log, by id.
type Log = BTreeMap<EventId, Box<str>>;

/// An event that only one of the logs holds in this form, and the machine whose log lacks it.
fn difference<'a>(a: (&Log, &'a str), b: (&Log, &'a str)) -> Option<(EventId, &'a str)> {
    let missing = |(has, _): (&Log, &str), (other, name): (&Log, &'a str)| {
        has.iter().find(|(id, text)| other.get(id) != Some(*text)).map(|(id, _)| (*id, name))
    };
    missing(a, b).or_else(|| missing(b, a))
}
