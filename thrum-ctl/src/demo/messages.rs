//! Sends messages between the machines and measures their delays.

use std::time::Duration;

use indicatif::ProgressBar;
use thrum_api::local::{
    InboxParams, MarkReadParams, MessageInbox, MessageMarkRead, MessageRef, MessageSend,
    MessageSendParams, MessageWait, WaitParams,
};
use tokio::time::{Instant, timeout};

use super::machine::{Machine, failed};
use crate::error::Error;

/// The project of all messages.
pub const PROJECT: &str = "demo";
const TIMEOUT: Duration = Duration::from_secs(20);

/// The results of the messages in one direction.
pub struct Direction {
    /// Messages that the sending daemon acknowledged.
    pub sent: u32,
    /// Messages that the receiver read.
    pub received: u32,
    /// Delays from acknowledged at the sender to readable at the receiver, sorted.
    pub delays: Vec<Duration>,
}

impl Direction {
    /// The percentile of the delays, by nearest rank.
    pub fn percentile(&self, percent: usize) -> Duration {
        let index = (self.delays.len() * percent).div_ceil(100).saturating_sub(1);
        self.delays.get(index).copied().unwrap_or_default()
    }
}

/// Sends messages one after the other, each after the previous one was read.
pub async fn send(
    from: &Machine,
    to: &Machine,
    number: u32,
    bar: &ProgressBar,
) -> Result<Direction, Error> {
    let (mut sender, mut reader) = (from.client().await?, to.client().await?);
    let mut direction = Direction { sent: 0, received: 0, delays: Vec::new() };
    let agent = agent_on(to);
    let waiting = WaitParams {
        agent: agent.clone(),
        project: Some(PROJECT.to_owned()),
        timeout_ms: u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX),
        limit: Some(1),
        ..WaitParams::default()
    };
    for count in 1..=number {
        let message = MessageSendParams {
            from: agent_on(from),
            to: vec![agent.clone()],
            text: format!("message {count} from {} to {}", from.name, to.name),
            project: PROJECT.to_owned(),
            ..MessageSendParams::default()
        };
        let sending = async {
            let sent = sender.call::<MessageSend>(&message).await?;
            Ok((sent, Instant::now()))
        };
        let reading = async {
            let read = reader.call::<MessageWait>(&waiting).await?;
            Ok::<_, Error>((read, Instant::now()))
        };
        let both = Box::pin(async { tokio::try_join!(reading, sending) });
        let ((read, readable), (sent, acknowledged)) =
            timeout(TIMEOUT * 2, both).await.map_err(|_| missing(count, from, to))??;
        direction.sent += 1;
        let message = read.messages.into_iter().next().ok_or_else(|| missing(count, from, to))?;
        if message.event_id != sent.event_id {
            return Err(failed(format!(
                "{} read {:?} instead of message {count}",
                to.name, message.text
            )));
        }
        // The message may be readable before the sender has its answer.
        direction.delays.push(readable.saturating_duration_since(acknowledged));
        let messages = vec![MessageRef::from(&message)];
        let mark = MarkReadParams { agent: agent.clone(), messages, ..MarkReadParams::default() };
        reader.call::<MessageMarkRead>(&mark).await?;
        bar.inc(1);
    }
    direction.delays.sort_unstable();
    let inbox = InboxParams {
        agent,
        project: Some(PROJECT.to_owned()),
        limit: Some(1000),
        ..InboxParams::default()
    };
    let inbox = reader.call::<MessageInbox>(&inbox).await?;
    direction.received = u32::try_from(inbox.messages.len()).unwrap_or(u32::MAX);
    if number > 1000 {
        // An inbox page holds at most 1000, but each message was read above.
        direction.received = direction.sent;
    }
    Ok(direction)
}

/// The agent of a machine.
pub fn agent_on(machine: &Machine) -> String {
    format!("agent-on-{}", machine.name)
}

fn missing(count: u32, from: &Machine, to: &Machine) -> Error {
    failed(format!("message {count} from {} did not arrive on {} in time", from.name, to.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_use_the_nearest_rank() {
        let delays = (1..=200).map(Duration::from_micros).collect();
        let direction = Direction { sent: 200, received: 200, delays };
        assert_eq!(direction.percentile(50), Duration::from_micros(100));
        assert_eq!(direction.percentile(99), Duration::from_micros(198));
        let none = Direction { sent: 0, received: 0, delays: Vec::new() };
        assert_eq!(none.percentile(50), Duration::ZERO);
    }
}
