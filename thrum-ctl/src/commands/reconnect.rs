//! Waits for a daemon that restarts, for the commands that go on for as long as they are left to.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::context::Context;
use crate::error::Error;

/// How long to wait for a daemon that restarts.
const RESTART_TIMEOUT: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(250);

/// A client of the daemon after its connection broke. Tells the person.
///
/// # Errors
/// Why the daemon can't be reached, when it does not come back.
pub async fn reconnect(context: &mut Context<'_>, broken: Error) -> Result<Client, Error> {
    context.printer.note("Lost the connection to thrumd; reconnecting.");
    let begin = Instant::now();
    while begin.elapsed() < RESTART_TIMEOUT {
        sleep(INTERVAL).await;
        if let Ok(client) = context.daemon().await {
            return Ok(client);
        }
    }
    // The reason why it can't be reached now says more than how the old connection broke.
    context.daemon().await.map_err(|error| match error {
        Error::Connect { .. } => broken,
        error => error,
    })
}
