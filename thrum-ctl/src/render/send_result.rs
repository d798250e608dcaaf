//! What `thrum send` says at once of its message.

use thrum_api::local::{MessageSendParams, MessageSendResult, RecipientStatus};
use thrum_api::{DaemonId, Timestamp};

use super::delivery::{same_names, sentences};
use crate::format::counted;
use crate::terminal::sanitize;

/// How far it got, by recipient, and who has not been seen yet. `own`: the daemon here, if known.
pub fn notes(
    params: &MessageSendParams,
    result: &MessageSendResult,
    recipients: &[RecipientStatus],
    own: Option<DaemonId>,
    now: Timestamp,
) -> Vec<String> {
    let mut notes = sentences(recipients, result.total, own, now);
    if recipients.is_empty() {
        notes.push(stored(params, result));
    }
    let told = |name: &String| recipients.iter().any(|recipient| recipient.agent == *name);
    let unknown: Vec<_> =
        result.unknown.iter().filter(|name| !told(name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        notes.push(format!(
            "{} not seen in {} yet: it waits there (known agents: thrum team).",
            sanitize(&unknown.join(", ")),
            sanitize(&params.project)
        ));
    }
    notes.extend(same_names(&params.to, recipients));
    notes
}

/// What is told if nothing is known of its recipients.
fn stored(params: &MessageSendParams, result: &MessageSendResult) -> String {
    let project = sanitize(&params.project);
    let agents = match result.total {
        0 => String::new(),
        total => format!(" ({})", counted(total, "agent")),
    };
    if params.all {
        return format!("To everyone in {project}{agents}: stored here.");
    }
    match params.to.is_empty() {
        true => format!("Stored here{agents}."),
        false => format!("To {}{agents}: stored here.", sanitize(&params.to.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_to_many_or_to_agents_that_are_not_known_yet_is_stored() {
        let result: MessageSendResult = serde_json::from_value(serde_json::json!({
            "event_id": "01K000000000000000007QX2AB", "sequence": 1, "total": 12,
        }))
        .unwrap();
        let mut params = MessageSendParams {
            to: vec!["@reviewers".to_owned()],
            project: "app".to_owned(),
            ..MessageSendParams::default()
        };
        assert_eq!(stored(&params, &result), "To @reviewers (12 agents): stored here.");
        params.all = true;
        assert_eq!(stored(&params, &result), "To everyone in app (12 agents): stored here.");
    }
}
