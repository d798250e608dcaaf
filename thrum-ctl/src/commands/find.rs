//! Finds messages by what people type: an id, or the end of it.

use thrum_api::event::EventRef;
use thrum_api::local::Message;

use crate::client::Client;
use crate::context::Context;
use crate::error::Error;
use crate::message_ids;

/// The message with this id, or with one that ends so: of this project if there is one, else of any.
///
/// # Errors
/// When there is none, and when there are several.
pub async fn message(
    client: &mut Client,
    agent: &str,
    id: &str,
    context: &Context<'_>,
) -> Result<Message, Error> {
    message_ids::find(client, agent, &context.project()?, id).await
}

/// The first message of the conversation that a message belongs to.
///
/// # Errors
/// As [`message`].
pub async fn thread(
    client: &mut Client,
    agent: &str,
    id: Option<&String>,
    context: &Context<'_>,
) -> Result<Option<EventRef>, Error> {
    let Some(id) = id else { return Ok(None) };
    let message = message(client, agent, id, context).await?;
    Ok(Some(message.thread.unwrap_or(message.event())))
}
