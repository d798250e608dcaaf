//! Events as a peer sent them, before they are stored.

use serde_json::value::RawValue;
use thrum_api::limits::EVENT_MAX_BYTES;
use thrum_api::{EventHeader, Sequence, SequencedEvent};

use super::portable;
use crate::report::brief;

/// An event of a peer, parsed outside the writer, which has no time for that.
pub struct Incoming {
    pub(super) sequence: Sequence,
    pub(super) bytes: Box<RawValue>,
    /// Or why it is not an event.
    pub(super) header: Result<EventHeader, String>,
}

impl Incoming {
    /// Parses an event. `sequence` is its position in the peer's log (for reports). What turns out not
    /// to be an event goes to quarantine when the batch is applied.
    pub fn read(event: SequencedEvent) -> Self {
        let SequencedEvent { sequence, event: bytes } = event;
        let header = parse(bytes.get());
        Self { sequence, bytes, header }
    }
}

/// Parses the header of a possible event; an error says why it is not an event.
fn parse(text: &str) -> Result<EventHeader, String> {
    if text.len() > EVENT_MAX_BYTES {
        return Err(format!("{} bytes; an event has at most {EVENT_MAX_BYTES}", text.len()));
    }
    // Serde would also accept an array of the members' values.
    if !text.starts_with('{') {
        return Err("no JSON object".to_owned());
    }
    let said = |error: serde_json::Error| brief(&error.to_string());
    let header: EventHeader = serde_json::from_str(text).map_err(said)?;
    portable::check_event(text).map_err(said)?;
    if header.origin_sequence.0 == 0 || i64::try_from(header.origin_sequence.0).is_err() {
        return Err(format!("no origin_sequence: {}", header.origin_sequence));
    }
    Ok(header)
}
