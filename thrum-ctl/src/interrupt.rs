//! Ctrl-C.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

/// Runs a command until it ends or Ctrl-C comes. One listener for all of it: a Ctrl-C between two steps
/// would be lost on a new one.
///
/// # Errors
/// Those of the work, and [`Error::Cancelled`] on Ctrl-C.
pub async fn or_interrupted<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|source| Error::io("can't listen for Ctrl-C", source))?;
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => Err(Error::Cancelled),
    }
}
