//! Remembers that the disk refused a write, so that `status` can show it.

use parking_lot::Mutex;
use thrum_api::{ErrorCode, RpcError, Timestamp};

/// The last write that the disk refused, until a write succeeds.
#[derive(Debug, Default)]
pub struct DiskFailure(Mutex<Option<(Timestamp, String)>>);

impl DiskFailure {
    /// Records how a write ended.
    pub(super) fn record<T>(&self, outcome: &Result<T, RpcError>) {
        let mut failure = self.0.lock();
        match outcome {
            Ok(_) => *failure = None,
            Err(error) if error.code == ErrorCode::STORAGE => {
                let since = failure.take().map_or_else(crate::clock::now, |(since, _)| since);
                *failure = Some((since, error.message.clone()));
            }
            Err(_) => {}
        }
    }

    /// When the failures began, and the text of the last one.
    pub(super) fn current(&self) -> Option<(Timestamp, String)> {
        self.0.lock().clone()
    }
}
