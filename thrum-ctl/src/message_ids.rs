//! Ids of messages: new ones, and those that people and models write.

use thrum_api::local::{Message, MessageFind, MessageFindParams};
use thrum_api::{ErrorCode, EventId};
use ulid::Ulid;

use crate::client::Client;
use crate::error::Error;

/// The id of a new message. Chosen here, so that a message that is sent again because no answer came is
/// stored once.
#[expect(clippy::disallowed_methods, reason = "thrumd::ids is for ids that thrumd chooses")]
pub fn new_id() -> EventId {
    EventId::from_ulid(Ulid::generate())
}

/// The message with this id, or with one that ends so: of this project if there is one, else of any.
///
/// # Errors
/// When there is none, and when there are several.
pub async fn find(
    client: &mut Client,
    agent: &str,
    project: &str,
    id: &str,
) -> Result<Message, Error> {
    let id = id.trim().trim_start_matches('.').to_owned();
    let mut params =
        MessageFindParams { agent: agent.to_owned(), project: Some(project.to_owned()), id };
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

/// A message of the caller that was sent here just now.
///
/// # Errors
/// As [`find`].
pub async fn find_sent(
    client: &mut Client,
    agent: &str,
    project: &str,
    id: EventId,
) -> Result<Message, Error> {
    let (agent, project) = (agent.to_owned(), Some(project.to_owned()));
    let params = MessageFindParams { agent, project, id: id.to_string() };
    Ok(client.call::<MessageFind>(&params).await?.message)
}
