use std::sync::Arc;

use serde_json::json;
use serde_json::value::RawValue;
use thrum_api::peer::Run;
use thrum_api::proof::Chain;
use thrum_api::{DaemonId, Epoch, Head, OriginSequence, Sequence, SequencedEvent};
use thrumd::ids;
use thrumd::keys::SecretKey;
use thrumd::proof::{chain_next, chain_start, point_message};

/// An origin that the test plays: it writes events and proves them. A clone goes on by itself, as after a rollback.
#[derive(Debug, Clone)]
pub struct Origin {
    key: Arc<SecretKey>,
    epoch: Epoch,
    written: u64,
    chain: Chain,
}

/// An event that an origin has written.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its position in the log that serves it: the one in its origin, if the test says no other.
    pub sequence: u64,
    /// Its bytes.
    pub text: String,
    /// The head of its origin from there.
    pub head: Head,
    previous: Chain,
}

impl Origin {
    /// One with a new key, without events.
    ///
    /// # Panics
    /// When there are no random bytes.
    #[expect(clippy::new_without_default, reason = "two of them are never equal")]
    pub fn new() -> Self {
        Self::of(Arc::new(SecretKey::generate().unwrap()), ids::epoch())
    }

    /// The one of this key and epoch, without events.
    pub fn of(key: Arc<SecretKey>, epoch: Epoch) -> Self {
        let chain = chain_start(&thrum_api::Origin { daemon: key.id(), epoch });
        Self { key, epoch, written: 0, chain }
    }

    /// Its daemon's key.
    pub fn key(&self) -> Arc<SecretKey> {
        Arc::clone(&self.key)
    }

    /// Its daemon.
    pub fn id(&self) -> DaemonId {
        self.key.id()
    }

    /// The text of the event that it would write next, with any body.
    pub fn draft(&self, body: &str) -> String {
        let place = self.written + 1;
        let counter = place & 0xffff;
        format!(
            r#"{{"event_id":"{}","origin_daemon":"{}","origin_epoch":"{}","origin_sequence":{place},"hlc":"0192f3a1b2c3-{counter:04x}","timestamp":"2026-11-24T16:00:00.123Z","type":"test.note","project":"test","body":{body}}}"#,
            ids::event(),
            self.id(),
            self.epoch,
        )
    }

    /// Writes this text as its next event, whatever it says.
    pub fn write(&mut self, text: String) -> Written {
        let previous = self.chain;
        self.written += 1;
        self.chain = chain_next(previous, text.as_bytes());
        let head = Head {
            origin_daemon: self.id(),
            origin_epoch: self.epoch,
            origin_sequence: OriginSequence(self.written),
            chain: self.chain,
        };
        Written { sequence: self.written, text, head, previous }
    }

    /// Writes an event as [`super::drafts`] makes them.
    pub fn note(&mut self, text: &str) -> Written {
        self.write(self.draft(&json!({ "text": text }).to_string()))
    }

    /// A run of these events, with this origin's signature on the chain after the last of them as it was written. So it
    /// proves them if they are its own, follow one another and are unchanged, and else it is a forgery.
    ///
    /// # Panics
    /// When there are none, or the text of one is no JSON.
    pub fn run(&self, events: &[Written]) -> Run {
        let last = events.last().expect("an event").head;
        let message = point_message(&last.origin(), last.origin_sequence, last.chain);
        Run {
            previous: events[0].previous,
            signature: self.key.sign(&message),
            events: events.iter().map(Written::sequenced).collect(),
        }
    }
}

impl Written {
    /// The same event at another position of the log that serves it.
    #[must_use]
    pub fn at(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    fn sequenced(&self) -> SequencedEvent {
        let event = RawValue::from_string(self.text.clone()).unwrap();
        SequencedEvent { sequence: Sequence(self.sequence), event }
    }
}
