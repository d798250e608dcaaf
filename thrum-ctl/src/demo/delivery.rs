//! One message through all states of delivery: sent while its recipient's daemon is dead, then there, read and answered.

use std::time::Duration;

use thrum_api::event::{EventRef, Route};
use thrum_api::local::{
    DeliveryState, Health, MarkReadParams, MessageMarkRead, MessageRef, MessageSend,
    MessageSendParams, MessageStatus, MessageStatusParams, MessageWait, WaitParams,
};
use thrum_api::method::Empty;
use tokio::time::{Instant, sleep};

use super::machine::{Machine, failed};
use super::messages::{PROJECT, agent_on};
use super::report::Step;
use crate::client::Client;
use crate::error::Error;

/// Limit for the sender to learn of a state. Receipts are written once a second at most, and before the message is there,
/// all that was written before it has to be.
const TOLD_MAX: Duration = Duration::from_secs(60);
/// Limit for a message that is there to be read.
const READ_MAX: Duration = Duration::from_secs(20);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const QUESTION: &str = "is the parser yours?";

/// The message on its way.
pub struct Delivery {
    message: EventRef,
    steps: Vec<Step>,
}

impl Delivery {
    /// Sends the message while the daemon of its recipient is dead.
    pub async fn begin(from: &Machine, to: &Machine) -> Result<Self, Error> {
        let mut sender = from.client().await?;
        let origin_daemon = sender.call::<Health>(&Empty {}).await?.daemon_id;
        let params = MessageSendParams { text: QUESTION.to_owned(), ..message(from, to) };
        let event_id = sender.call::<MessageSend>(&params).await?.event_id;
        let mut delivery =
            Self { message: EventRef { event_id, origin_daemon }, steps: Vec::new() };
        delivery.reaches(&mut sender, DeliveryState::Stored).await?;
        Ok(delivery)
    }

    /// Follows the message, once the daemon of its recipient is back: it is read there and answered.
    pub async fn end(mut self, from: &Machine, to: &Machine) -> Result<Vec<Step>, Error> {
        let (mut sender, mut reader) = (from.client().await?, to.client().await?);
        self.reaches(&mut sender, DeliveryState::There).await?;
        let waiting = WaitParams {
            agent: agent_on(to),
            project: Some(PROJECT.to_owned()),
            timeout_ms: u64::try_from(READ_MAX.as_millis()).unwrap_or(u64::MAX),
            limit: Some(1),
            ..WaitParams::default()
        };
        let read = reader.call::<MessageWait>(&waiting).await?;
        let is_it = |message: &&thrum_api::local::Message| message.event() == self.message;
        let Some(question) = read.messages.first().filter(is_it) else {
            return Err(failed(format!("the message did not arrive on {} in time", to.name)));
        };
        let mark = MarkReadParams {
            agent: agent_on(to),
            messages: vec![MessageRef::from(question)],
            route: Some(Route::Wait),
            session: None,
        };
        reader.call::<MessageMarkRead>(&mark).await?;
        self.reaches(&mut sender, DeliveryState::Read).await?;
        let reply = MessageSendParams {
            text: "yes".to_owned(),
            to: Vec::new(),
            reply_to: Some(self.message),
            ..message(to, from)
        };
        reader.call::<MessageSend>(&reply).await?;
        self.reaches(&mut sender, DeliveryState::Answered).await?;
        Ok(self.steps)
    }

    /// Waits until the sender is told this state, and notes how long that took.
    async fn reaches(&mut self, sender: &mut Client, state: DeliveryState) -> Result<(), Error> {
        let begin = Instant::now();
        loop {
            let params = MessageStatusParams { message: self.message, wait_ms: None };
            let status = sender.call::<MessageStatus>(&params).await?;
            let now = status.recipients.first().map(|recipient| recipient.state);
            if now >= Some(state) {
                let took = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.steps.push(Step { state, took_us: took });
                return Ok(());
            }
            if begin.elapsed() > TOLD_MAX {
                return Err(failed(format!(
                    "the sender was not told that its message is {state:?}"
                )));
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}

fn message(from: &Machine, to: &Machine) -> MessageSendParams {
    MessageSendParams {
        from: agent_on(from),
        to: vec![agent_on(to)],
        project: PROJECT.to_owned(),
        ..MessageSendParams::default()
    }
}
