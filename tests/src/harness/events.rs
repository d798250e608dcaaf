use std::collections::BTreeSet;
use std::time::Duration;

use thrum_api::local::{AppendParams, Appended, EventAppend, EventList, EventListParams};
use thrum_api::{Draft, Sequence, SequencedEvent};

use super::{CallError, Daemon, eventually};

/// Drafts of test events with these texts.
pub fn drafts<T: ToString>(texts: impl IntoIterator<Item = T>) -> Vec<Draft> {
    texts
        .into_iter()
        .map(|text| event_of(&serde_json::json!({ "text": text.to_string() })))
        .collect()
}

/// A draft of a test event with this body.
pub fn event_of(body: &serde_json::Value) -> Draft {
    Draft {
        event_id: None,
        event_type: "test.note".to_owned(),
        project: Some("test".to_owned()),
        body: serde_json::value::to_raw_value(body).unwrap(),
    }
}

/// The text of an event that was made by [`drafts`].
pub fn event_text(event: &SequencedEvent) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(event.event.get()).ok()?;
    Some(event["body"]["text"].as_str()?.to_owned())
}

impl Daemon {
    /// Writes test events with these texts, all in one append.
    ///
    /// # Errors
    /// When they are refused.
    pub fn try_append<T: ToString>(
        &self,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Appended>, CallError> {
        self.call::<EventAppend>(AppendParams { events: drafts(texts) }).map(|done| done.appended)
    }

    /// Writes test events with these texts.
    ///
    /// # Panics
    /// When they are refused.
    #[track_caller]
    pub fn append<T: ToString>(&self, texts: impl IntoIterator<Item = T>) -> Vec<Appended> {
        self.try_append(texts).unwrap_or_else(|error| panic!("append at {}: {error}", self.name()))
    }

    /// Its whole log.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn try_events(&self) -> Result<Vec<SequencedEvent>, CallError> {
        let mut events = Vec::new();
        let mut after = Sequence::ZERO;
        loop {
            let params = EventListParams { after, limit: Some(1000), ..Default::default() };
            let page = self.call::<EventList>(params)?;
            events.extend(page.events);
            after = page.next;
            if !page.more_available {
                return Ok(events);
            }
        }
    }

    /// Its whole log.
    ///
    /// # Panics
    /// When it doesn't answer.
    #[track_caller]
    pub fn events(&self) -> Vec<SequencedEvent> {
        self.try_events().unwrap_or_else(|error| panic!("events of {}: {error}", self.name()))
    }

    /// The texts of its test events, in log order.
    #[track_caller]
    pub fn texts(&self) -> Vec<String> {
        self.events().iter().filter_map(event_text).collect()
    }
}

/// Whether these daemons hold the same events, byte for byte and each once; how many.
///
/// # Errors
/// How they differ.
pub fn same_events(daemons: &[&Daemon]) -> Result<usize, String> {
    let mut first: Option<(&str, BTreeSet<String>)> = None;
    for daemon in daemons {
        let mut held = BTreeSet::new();
        for event in daemon.try_events().map_err(|error| format!("{}: {error}", daemon.name()))? {
            let event = String::from(Box::<str>::from(event.event));
            assert!(!held.contains(&event), "{} holds more than once {event}", daemon.name());
            held.insert(event);
        }
        match &first {
            None => first = Some((daemon.name(), held)),
            Some((_, other)) if *other == held => {}
            Some((name, other)) => {
                return Err(format!(
                    "{name} holds {}, {} holds {}: it lacks {} and has {} more",
                    other.len(),
                    daemon.name(),
                    held.len(),
                    other.difference(&held).count(),
                    held.difference(other).count()
                ));
            }
        }
    }
    Ok(first.map_or(0, |(_, held)| held.len()))
}

/// Waits until these daemons hold the same events; gives how many.
///
/// # Panics
/// When they don't within the limit.
#[track_caller]
pub fn converge(limit: Duration, daemons: &[&Daemon]) -> usize {
    eventually(limit, || same_events(daemons))
}
