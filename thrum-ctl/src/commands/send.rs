use serde::Serialize;
use thrum_api::EventId;
use thrum_api::limits::{EVENT_MAX_BYTES, RECIPIENTS_MAX};
use thrum_api::local::{MessageSend, MessageSendParams, MessageSendResult};
use ulid::Ulid;

use crate::cli::SendArgs;
use crate::context::{Context, agent_name};
use crate::error::Error;
use crate::terminal::read_message;

#[derive(Serialize)]
struct Sent<'a> {
    #[serde(flatten)]
    result: &'a MessageSendResult,
    from: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    to: &'a [String],
    project: &'a str,
}

/// `thrum send`
pub async fn run(args: SendArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let from = context.agent()?;
    let (all, event_id) = (args.all, args.id.unwrap_or_else(new_id));
    let (to, message) = recipients(args)?;
    let text = if message == "-" { read_message(EVENT_MAX_BYTES)? } else { message };
    if text.trim().is_empty() {
        return Err(Error::usage("the message is empty", "thrum send NAME \"MESSAGE\""));
    }
    let project = context.project()?;
    let params = MessageSendParams {
        from,
        to,
        all,
        text,
        project,
        event_id: Some(event_id),
        ..MessageSendParams::default()
    };
    let mut client = context.daemon().await?;
    let sending = client.call_again::<MessageSend>(&params);
    let waiting = "Waiting for thrumd to confirm the message.";
    let result = match context.printer.note_if_slow(waiting, sending).await {
        Err(Error::Broken { source, .. }) => return Err(Error::Unconfirmed { event_id, source }),
        answer => answer?,
    };

    let MessageSendParams { from, to, project, .. } = params;
    if !result.unknown.is_empty() {
        let names = result.unknown.join(", ");
        context.printer.note(&format!(
            "{names} not seen in {project} yet; the message will wait (known agents: thrum agents)."
        ));
    }
    let shown = if all { "everyone".to_owned() } else { to.join(", ") };
    let text = format!("Sent to {shown} in {project}.");
    let sent = Sent { result: &result, from: &from, to: &to, project: &project };
    context.printer.done(&sent, &text)
}

/// The id of a new message. Chosen here, so that a message that is sent again because no answer came is
/// stored once.
#[expect(clippy::disallowed_methods, reason = "thrumd::ids is for ids that thrumd chooses")]
fn new_id() -> EventId {
    EventId::from_ulid(Ulid::generate())
}

/// Splits the arguments into recipients and message: the last word is the message.
fn recipients(args: SendArgs) -> Result<(Vec<String>, String), Error> {
    const HINT: &str = "thrum send NAME \"MESSAGE\", or thrum send --all \"MESSAGE\"";
    let SendArgs { mut words, to, all, id: _ } = args;
    let Some(message) = words.pop() else {
        return Err(Error::usage("there is no message", HINT));
    };
    if all && let Some(name) = words.first() {
        return Err(Error::usage(
            format!("--all sends to everyone, so {name:?} can't be named as a recipient"),
            "put quotes around a message of several words",
        ));
    }
    let mut names = Vec::new();
    for word in words.iter().chain(&to) {
        let name = agent_name(word)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() && !all {
        return Err(Error::usage("there is no recipient", HINT));
    }
    if names.len() > RECIPIENTS_MAX {
        return Err(Error::usage(
            format!("{} recipients; at most {RECIPIENTS_MAX} are allowed", names.len()),
            "thrum send --all reaches everyone in the project",
        ));
    }
    Ok((names, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str], to: &[&str], all: bool) -> SendArgs {
        let owned = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        SendArgs { words: owned(words), to: owned(to), all, id: None }
    }

    #[test]
    fn the_last_word_is_the_message() {
        let (names, message) =
            recipients(args(&["@coder", "tester", "coder", "hi"], &["@qa"], false)).unwrap();
        assert_eq!(names, ["coder", "tester", "qa"]);
        assert_eq!(message, "hi");
        let (names, message) = recipients(args(&["hi"], &[], true)).unwrap();
        assert!(names.is_empty());
        assert_eq!(message, "hi");
    }

    #[test]
    fn a_message_without_recipient_is_an_error() {
        let error = recipients(args(&["hi"], &[], false)).unwrap_err();
        assert_eq!(error.to_string(), "there is no recipient");
        assert_eq!(error.kind().exit_code(), 2);
        assert!(recipients(args(&["coder", "hi"], &[], true)).is_err());
        assert!(recipients(args(&["the parser", "hi"], &[], false)).is_err());
    }
}
