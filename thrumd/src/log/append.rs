//! Writing events of this daemon.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rusqlite::{OptionalExtension, params};
use serde::Deserialize;
use serde_json::value::RawValue;
use thrum_api::limits::{APPEND_MAX_EVENTS, EVENT_MAX_BYTES};
use thrum_api::local::Appended;
use thrum_api::{
    DaemonId, Draft, Epoch, EventHeader, EventId, Hlc, OriginSequence, Sequence, Timestamp, names,
};
use ulid::Ulid;

use super::column::{int, uint};
use super::error::{Failed, LogError};
use super::portable;
use super::transaction::{Event, WriteTransaction};
use crate::proof::chain_next;

/// Refuses what can be refused without the database, before it is queued.
pub(super) fn check(drafts: &[Draft]) -> Result<(), LogError> {
    if drafts.len() > APPEND_MAX_EVENTS {
        return Err(LogError::TooMany { count: drafts.len() });
    }
    for (index, draft) in drafts.iter().enumerate() {
        names::event_type(&draft.event_type).map_err(LogError::Name)?;
        if let Some(project) = &draft.project {
            names::project(project).map_err(LogError::Name)?;
        }
        // `null` stands for the body, so that it isn't copied for this.
        let envelope = compose(&longest_header(draft), RawValue::NULL).len() - "null".len();
        let bytes = envelope + draft.body.get().len();
        if bytes > EVENT_MAX_BYTES {
            return Err(LogError::TooLarge { bytes });
        }
        portable::check_body(draft.body.get()).map_err(LogError::NotPortable)?;
        if let Some(event_id) = draft.event_id {
            let same_id = drafts[..index].iter().filter(|other| other.event_id == Some(event_id));
            for other in same_id {
                if !same_content(draft, &other.event_type, other.project.as_deref(), &other.body) {
                    return Err(LogError::IdTaken { event_id });
                }
            }
        }
    }
    Ok(())
}

/// Writes the drafts in the open transaction. Refuses before the first write, so that a refused
/// append leaves nothing behind in the group's transaction.
pub(super) fn append(
    write: &mut WriteTransaction<'_>,
    drafts: &[Draft],
) -> Result<Vec<Appended>, Failed> {
    let mut held = BTreeMap::new();
    for draft in drafts {
        if let Some(event_id) = draft.event_id
            && let Some(written) = written_before(write, draft, event_id)?
        {
            held.insert(event_id, written);
        }
    }
    let mut appended = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let known = draft.event_id.and_then(|event_id| held.get(&event_id).copied());
        let written = match known {
            Some(written) => written,
            None => append_one(write, draft)?,
        };
        // The same id twice in one append: `check` compared the two.
        if let Some(event_id) = draft.event_id {
            held.insert(event_id, written);
        }
        appended.push(written);
    }
    Ok(appended)
}

fn append_one(write: &mut WriteTransaction<'_>, draft: &Draft) -> Result<Appended, Failed> {
    let now = write.now;
    let meta = write.state.meta_mut();
    meta.own_sequence += 1;
    meta.hlc = meta.hlc.tick(u64::try_from(now.as_millis()).unwrap_or(0));
    let header = EventHeader {
        event_id: draft.event_id.unwrap_or_else(|| write.environment.event_id()),
        origin_daemon: meta.daemon,
        origin_epoch: meta.epoch,
        origin_sequence: OriginSequence(meta.own_sequence),
        hlc: meta.hlc,
        timestamp: now,
        event_type: draft.event_type.clone(),
        project: draft.project.clone(),
    };
    let bytes = compose(&header, &draft.body);
    let previous = write.state.meta.own_chain;
    let chain = chain_next(previous, bytes.as_bytes());
    write.store(&Event {
        header: &header,
        bytes: bytes.as_bytes(),
        previous,
        chain,
        point: None,
        source: None,
    })?;
    write.state.meta_mut().own_chain = chain;
    Ok(Appended {
        event_id: header.event_id,
        sequence: write.state.meta.head.sequence,
        origin_sequence: header.origin_sequence,
    })
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, rename = "type")]
    event_type: std::borrow::Cow<'a, str>,
    #[serde(default, borrow)]
    project: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Where the same draft was written before; refused if the id belongs to another event.
fn written_before(
    write: &WriteTransaction<'_>,
    draft: &Draft,
    event_id: EventId,
) -> Result<Option<Appended>, Failed> {
    let held = write
        .conn
        .prepare_cached(
            "SELECT sequence, origin_sequence, body
             FROM events JOIN origins ON origins.id = events.origin
             WHERE event_id = ?1 AND daemon_id = ?2",
        )?
        .query_row(params![event_id.ulid().to_bytes(), write.state.meta.daemon.to_bytes()], |row| {
            let body: Vec<u8> = row.get(2)?;
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, body))
        })
        .optional()?;
    let Some((sequence, origin_sequence, bytes)) = held else { return Ok(None) };
    let same = serde_json::from_slice::<Content<'_>>(&bytes).is_ok_and(|held| {
        same_content(draft, &held.event_type, held.project.as_deref(), held.body)
    });
    if !same {
        return Err(Failed::Refused(LogError::IdTaken { event_id }));
    }
    Ok(Some(Appended {
        event_id,
        sequence: Sequence(uint(sequence)),
        origin_sequence: OriginSequence(uint(origin_sequence)),
    }))
}

fn same_content(draft: &Draft, event_type: &str, project: Option<&str>, body: &RawValue) -> bool {
    draft.event_type == event_type
        && draft.project.as_deref() == project
        && draft.body.get() == body.get()
}

/// The header that this draft may get, with every number at its longest.
fn longest_header(draft: &Draft) -> EventHeader {
    EventHeader {
        event_id: EventId::from_ulid(Ulid::from_bytes([0; 16])),
        origin_daemon: DaemonId::from_bytes([0; DaemonId::BYTES]),
        origin_epoch: Epoch::from_ulid(Ulid::from_bytes([0; 16])),
        origin_sequence: OriginSequence(uint(int(u64::MAX))),
        hlc: Hlc::default(),
        timestamp: Timestamp::from_millis(0),
        event_type: draft.event_type.clone(),
        project: draft.project.clone(),
    }
}

/// An event's bytes, members in the order of docs/protocol.md.
fn compose(header: &EventHeader, body: &RawValue) -> String {
    let mut text = String::with_capacity(512 + body.get().len());
    let EventHeader { event_id, origin_daemon, origin_epoch, origin_sequence, hlc, .. } = header;
    let written = write!(
        text,
        r#"{{"event_id":"{event_id}","origin_daemon":"{origin_daemon}","origin_epoch":"{origin_epoch}","origin_sequence":{origin_sequence},"hlc":"{hlc}","timestamp":"{}","type":{}"#,
        header.timestamp,
        quoted(&header.event_type),
    );
    debug_assert!(written.is_ok(), "writing to a String does not fail");
    if let Some(project) = &header.project {
        text.push_str(r#","project":"#);
        text.push_str(&quoted(project));
    }
    text.push_str(r#","body":"#);
    text.push_str(body.get());
    text.push('}');
    text
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
