//! Ctrl-C.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

/// Runs a command until it ends or is interrupted by Ctrl-C. One listener serves the whole command, so that
/// no Ctrl-C is lost between two steps.
///
/// # Errors
/// Those of the work, and [`Error::Cancelled`] on Ctrl-C.
pub async fn or_interrupted<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|source| Error::io("can't listen for Ctrl-C", source))?;
    let work = Box::pin(work);
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => Err(Error::Cancelled),
    }
}
