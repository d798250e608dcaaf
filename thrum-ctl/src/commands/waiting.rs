//! Waits for messages, whatever becomes of the daemon meanwhile.

use std::time::Duration;

use thrum_api::local::{MessageWait, WaitParams, WaitResult};
use tokio::time::{Instant, sleep, timeout};

use super::reconnect::reconnect;
use crate::client::Client;
use crate::context::Context;
use crate::error::Error;

/// How long one call waits before the next one is made. thrumd allows up to an hour.
const CALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long to wait after an answer that came early and empty, so that a broken daemon is not asked all the time.
const EARLY_PAUSE: Duration = Duration::from_millis(250);
/// Minimum time for an answer, also with a shorter limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// The oldest unread messages that `params` select; None if none came in time. The limit holds also if the daemon does
/// not answer or has ended.
///
/// # Errors
/// When the daemon refuses, and when it does not come back.
pub async fn in_time(
    client: &mut Client,
    params: &WaitParams,
    limit: Option<Duration>,
    context: &mut Context<'_>,
) -> Result<Option<WaitResult>, Error> {
    let waiting = next(client, params, limit, context);
    let Some(limit) = limit else { return waiting.await };
    timeout(limit.max(ANSWER_TIMEOUT), waiting).await.unwrap_or(Ok(None))
}

async fn next(
    client: &mut Client,
    params: &WaitParams,
    limit: Option<Duration>,
    context: &mut Context<'_>,
) -> Result<Option<WaitResult>, Error> {
    let begin = Instant::now();
    let mut params = params.clone();
    loop {
        let left = match limit {
            Some(limit) => limit.saturating_sub(begin.elapsed()),
            None => CALL_TIMEOUT,
        };
        params.timeout_ms = millis(left.min(CALL_TIMEOUT));
        match client.call::<MessageWait>(&params).await {
            Ok(result) => {
                if !result.messages.is_empty() {
                    return Ok(Some(result));
                }
                if limit.is_some_and(|limit| begin.elapsed() >= limit) {
                    return Ok(None);
                }
                sleep(EARLY_PAUSE.min(left)).await;
            }
            Err(error) if error.may_pass() => {
                *client = reconnect(context, error).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
