use thrum_api::limits::RECIPIENTS_MAX;
use thrum_api::local::MessageSendParams;

use super::writing;
use crate::cli::{SendArgs, WritingArgs};
use crate::context::{Context, address};
use crate::error::Error;
use crate::message_ids::new_id;

/// `thrum send`
pub async fn run(args: SendArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let from = context.agent()?;
    let SendArgs { all, anyway, writing: WritingArgs { urgent, wait_reply, id }, .. } = args;
    let (to, message) = recipients(args.words, &args.to, all)?;
    let params = MessageSendParams {
        from,
        to,
        all,
        text: writing::text(message, "thrum send NAME \"MESSAGE\"")?,
        project: context.project()?,
        event_id: Some(id.unwrap_or_else(new_id)),
        urgent,
        anyway,
        ..MessageSendParams::default()
    };
    let mut client = context.daemon().await?;
    writing::send(&mut client, &params, wait_reply, context).await
}

/// Splits the arguments into recipients and message: the last word is the message.
fn recipients(
    mut words: Vec<String>,
    to: &[String],
    all: bool,
) -> Result<(Vec<String>, String), Error> {
    const HINT: &str = "thrum send NAME \"MESSAGE\", or thrum send --all \"MESSAGE\"";
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
    for word in words.iter().chain(to) {
        let name = address(word)?;
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

    fn split(words: &[&str], to: &[&str], all: bool) -> Result<(Vec<String>, String), Error> {
        let owned = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        recipients(owned(words), &owned(to), all)
    }

    #[test]
    fn the_last_word_is_the_message() {
        let (names, message) =
            split(&["@coder", "tester", "tester", "a@old mac", "hi"], &["@qa"], false).unwrap();
        assert_eq!(names, ["@coder", "tester", "a@old mac", "@qa"]);
        assert_eq!(message, "hi");
        let (names, message) = split(&["hi"], &[], true).unwrap();
        assert!(names.is_empty());
        assert_eq!(message, "hi");
    }

    #[test]
    fn a_message_without_recipient_is_an_error() {
        let error = split(&["hi"], &[], false).unwrap_err();
        assert_eq!(error.to_string(), "there is no recipient");
        assert_eq!(error.kind().exit_code(), 2);
        assert!(split(&["coder", "hi"], &[], true).is_err());
        assert!(split(&["the parser", "hi"], &[], false).is_err());
    }
}
