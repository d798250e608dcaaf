use serde::Serialize;
use thrum_api::limits::{EVENT_MAX_BYTES, RECIPIENTS_MAX};
use thrum_api::local::{MessageSend, MessageSendParams, MessageSendResult};

use crate::cli::SendArgs;
use crate::context::{Context, agent_name};
use crate::error::Error;
use crate::terminal::read_all;

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
    let all = args.all;
    let (to, message) = recipients(args)?;
    let text = if message == "-" {
        let text = read_all(EVENT_MAX_BYTES)?;
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    } else {
        message
    };
    if text.trim().is_empty() {
        return Err(Error::usage("the message is empty", "thrum send NAME \"MESSAGE\""));
    }
    let project = context.project()?;
    let params = MessageSendParams { from, to, all, text, project, event_id: None };
    let result = context.daemon().await?.call::<MessageSend>(&params).await?;

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

/// Splits the arguments into recipients and message: the last word is the message.
fn recipients(args: SendArgs) -> Result<(Vec<String>, String), Error> {
    const HINT: &str = "thrum send NAME \"MESSAGE\", or thrum send --all \"MESSAGE\"";
    let SendArgs { mut words, to, all } = args;
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
        SendArgs { words: owned(words), to: owned(to), all }
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
