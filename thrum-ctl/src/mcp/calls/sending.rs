//! `send_message` and `reply_message`: how far a message got is told as far as it is known, and no further.

use thrum_api::limits::{MESSAGE_TEXT_MAX_BYTES, RECIPIENTS_MAX};
use thrum_api::local::{
    MessageSend, MessageSendParams, MessageSendResult, MessageStatus, MessageStatusParams,
};

use crate::client::Client;
use crate::clock;
use crate::context::address;
use crate::error::Error;
use crate::format::message_id;
use crate::mcp::answer::{Done, Failure};
use crate::mcp::arguments::Arguments;
use crate::mcp::caller::{Caller, in_time};
use crate::message_ids::{find, find_sent, new_id};
use crate::render::send_result;

/// How long to wait until the message has reached its machines, if they can be reached.
const THERE_WAIT_MS: u64 = 500;
/// Most bytes of what is told of recipients.
const TOLD_MAX_BYTES: usize = 5000;
const NEXT: &str = "an answer comes with check_messages; to wait for it: wait_for_message";
const WHO: &str =
    "write a name, NAME@MACHINE or @GROUP, or a list of these; who is there: list_agents";

/// `send_message`
pub async fn send(caller: &Caller, arguments: &mut Arguments) -> Result<Done, Failure> {
    let text = text(arguments)?;
    let (all, urgent) = (arguments.flag("all")?, arguments.flag("urgent")?);
    let to = recipients(&arguments.texts("to")?)?;
    match (to.is_empty(), all) {
        (true, false) => return Err(Failure::arguments("send_message needs `to` or `all`", WHO)),
        (false, true) => {
            let message = "`all` sends to everyone, so that `to` has to be absent";
            return Err(Failure::arguments(message, "leave one of them out"));
        }
        _ => {}
    }
    let params = MessageSendParams {
        from: caller.who.identity.agent.clone(),
        to,
        all,
        text,
        urgent,
        project: caller.who.identity.project.clone(),
        event_id: Some(new_id()),
        ..MessageSendParams::default()
    };
    let mut client = in_time(caller.connect()).await?;
    sent(&mut client, &params).await
}

/// `reply_message`
pub async fn reply(caller: &Caller, arguments: &mut Arguments) -> Result<Done, Failure> {
    let id = arguments.needed("id")?;
    let text = text(arguments)?;
    let (agent, project) = (&caller.who.identity.agent, &caller.who.identity.project);
    let mut client = in_time(caller.connect()).await?;
    let parent = in_time(find(&mut client, agent, project, &id)).await?;
    // Without recipients it goes to the sender of the other one.
    let params = MessageSendParams {
        from: agent.clone(),
        text,
        reply_to: Some(parent.event()),
        project: parent.project.unwrap_or_else(|| project.clone()),
        event_id: Some(new_id()),
        ..MessageSendParams::default()
    };
    sent(&mut client, &params).await
}

fn text(arguments: &mut Arguments) -> Result<String, Failure> {
    let text = arguments.needed("text")?;
    if text.len() > MESSAGE_TEXT_MAX_BYTES {
        let message = format!(
            "the text has {} bytes; at most {MESSAGE_TEXT_MAX_BYTES} are allowed",
            text.len()
        );
        let hint = "write it to a file, and send where that is";
        return Err(Failure::arguments(message, hint));
    }
    Ok(text)
}

fn recipients(named: &[String]) -> Result<Vec<String>, Failure> {
    let mut to = Vec::new();
    for name in named {
        let address = address(name.trim()).map_err(|error| Failure::from(&error).hint(WHO))?;
        if !to.contains(&address) {
            to.push(address);
        }
    }
    if to.len() > RECIPIENTS_MAX {
        let message = format!("{} recipients; at most {RECIPIENTS_MAX} are allowed", to.len());
        return Err(Failure::arguments(message, "send to a @GROUP, or to `all`"));
    }
    Ok(to)
}

/// Sends, and tells how far it got.
async fn sent(client: &mut Client, params: &MessageSendParams) -> Result<Done, Failure> {
    let result = in_time(confirmed(client, params)).await?;
    let mut recipients = result.recipients.clone();
    let mut own = None;
    if !recipients.is_empty()
        && let Ok(sent) =
            in_time(find_sent(client, &params.from, &params.project, result.event_id)).await
    {
        own = Some(sent.origin_daemon);
        let asked = MessageStatusParams { message: sent.event(), wait_ms: Some(THERE_WAIT_MS) };
        // Without an answer, what was known before is still true.
        if let Ok(status) = in_time(client.call::<MessageStatus>(&asked)).await {
            recipients = status.recipients;
        }
    }
    let lines = send_result::notes(params, &result, &recipients, own, clock::now());
    let mut done = Done::new();
    done.insert("id".to_owned(), message_id(result.event_id).into());
    done.insert("told".to_owned(), fitting(lines).into());
    done.insert("next".to_owned(), NEXT.into());
    Ok(done)
}

/// Sends. A message that was handed over and not confirmed may have been sent: that is said.
async fn confirmed(
    client: &mut Client,
    params: &MessageSendParams,
) -> Result<MessageSendResult, Error> {
    match client.call_again::<MessageSend>(params).await {
        Err(Error::Broken { .. }) => Err(Error::failed(
            "thrumd ended before it confirmed the message: it may have been sent",
            "look whether it is there before you send it again: thrum sent; is thrumd running: thrum status",
        )),
        Err(Error::Refused(error)) => Err(Error::Refused(match error.member("similar").and_then(listed) {
            Some(similar) => error.hint(format!(
                "did you mean {similar}? Who is there: list_agents. To send to a new name all the same: thrum send --anyway"
            )),
            None => error,
        })),
        answer => answer,
    }
}

fn listed(names: &serde_json::Value) -> Option<String> {
    let names: Vec<&str> = names.as_array()?.iter().filter_map(|name| name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

/// As many of the lines as fit.
fn fitting(lines: Vec<String>) -> Vec<String> {
    let mut room = TOLD_MAX_BYTES;
    let mut fitting = Vec::new();
    for line in lines {
        let Some(left) = room.checked_sub(serde_json::Value::from(line.as_str()).to_string().len())
        else {
            fitting.push("and more".to_owned());
            break;
        };
        room = left;
        fitting.push(line);
    }
    fitting
}
