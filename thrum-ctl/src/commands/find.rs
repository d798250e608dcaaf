//! Finds messages by what people type: an id, or the end of it.

use thrum_api::event::EventRef;
use thrum_api::local::{Message, MessageFind, MessageFindParams};
use thrum_api::{ErrorCode, EventId};

use crate::client::Client;
use crate::context::Context;
use crate::error::Error;

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
    let id = id.trim().trim_start_matches('.').to_owned();
    let project = Some(context.project()?);
    let mut params = MessageFindParams { agent: agent.to_owned(), project, id };
    let here = client.call::<MessageFind>(&params).await;
    let unknown = |error: &Error| matches!(error, Error::Refused(refused) if refused.code == ErrorCode::NOT_FOUND);
    match here {
        Ok(found) => Ok(found.message),
        Err(error) if unknown(&error) => {
            params.project = None;
            match client.call::<MessageFind>(&params).await {
                Ok(found) => Ok(found.message),
                // What is wrong in this project says more.
                Err(elsewhere) if unknown(&elsewhere) => Err(error),
                Err(elsewhere) => Err(elsewhere),
            }
        }
        Err(error) => Err(error),
    }
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

/// A message of the caller that was sent here just now.
///
/// # Errors
/// As [`message`].
pub async fn sent(
    client: &mut Client,
    agent: &str,
    project: &str,
    id: EventId,
) -> Result<Message, Error> {
    let (agent, project) = (agent.to_owned(), Some(project.to_owned()));
    let params = MessageFindParams { agent, project, id: id.to_string() };
    Ok(client.call::<MessageFind>(&params).await?.message)
}
