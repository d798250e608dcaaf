//! The clock of the client.

use thrum_api::Timestamp;

/// The current time of this machine.
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
