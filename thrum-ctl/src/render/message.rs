//! Messages: a line each, or one with all that is known of it.

use thrum_api::Timestamp;
use thrum_api::local::Message;

use crate::format::{message_id, short_id, since};
use crate::printer::{BOLD, DIM, GREEN, YELLOW, styled};
use crate::terminal::{sanitize, sanitize_lines};

/// Indent of all lines of a message except the first.
pub const INDENT: &str = "    ";

/// A message for people: id, sender, machine, time, text.
pub fn line(message: &Message, now: Timestamp, with_project: bool) -> String {
    format!("{} {}", head(message, now, with_project), sanitize_lines(&message.text, INDENT))
}

/// All but the text, up to the colon before it.
pub fn head(message: &Message, now: Timestamp, with_project: bool) -> String {
    let machine = match &message.machine {
        Some(machine) => format!(" on {}", sanitize(machine)),
        None => String::new(),
    };
    let project = match &message.project {
        Some(project) if with_project => format!(" in {}", sanitize(project)),
        _ => String::new(),
    };
    let to = if message.all { " to everyone" } else { "" };
    let urgent = if message.urgent { styled(YELLOW, " urgent") } else { String::new() };
    let answers = match &message.reply_to {
        Some(parent) => format!(", answers {}", message_id(parent.event_id)),
        None => String::new(),
    };
    let mark = if message.read { " ".to_owned() } else { styled(GREEN, "*") };
    let id = styled(DIM, &message_id(message.event_id));
    let from = styled(BOLD, &sanitize(&message.from));
    let rest = format!("{machine}{project}{to}{answers}, {}", since(message.timestamp, now));
    format!("{mark} {id}{urgent} {from}{}:", styled(DIM, &rest))
}

/// A message with all that is known of it.
pub fn whole(message: &Message, replies: u64, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        lines.push(format!("{} {}", styled(DIM, &format!("{name:<8}")), value));
    };
    line("id", message.event_id.to_string());
    let machine = match &message.machine {
        Some(machine) => sanitize(machine).into_owned(),
        None => short_id(&message.origin_daemon.to_string()),
    };
    line("from", format!("{} on {machine}", styled(BOLD, &sanitize(&message.from))));
    let to = if message.all { "everyone".to_owned() } else { message.to.join(", ") };
    line("to", sanitize(&to).into_owned());
    if let Some(project) = &message.project {
        line("project", sanitize(project).into_owned());
    }
    line("sent", format!("{} ({})", message.timestamp, since(message.timestamp, now)));
    if message.urgent {
        line("urgent", styled(YELLOW, "yes"));
    }
    if let Some(parent) = &message.reply_to {
        line("answers", message_id(parent.event_id));
    }
    if replies > 0 || message.thread.is_some() {
        let root = message.thread.map_or(message.event_id, |thread| thread.event_id);
        let count = crate::format::counted(replies, "message");
        line("thread", format!("{count} after the first one: thrum thread {}", message_id(root)));
    }
    lines.push(String::new());
    lines.push(format!("{INDENT}{}", sanitize_lines(&message.text, INDENT)));
    lines
}

/// A message for tests.
#[cfg(test)]
pub fn example(text: &str, read: bool) -> Message {
    serde_json::from_value(serde_json::json!({
        "event_id": "01K000000000000000007QX2AB",
        "sequence": 1,
        "from": "planner",
        "origin_daemon": "d_01K0000000000000000000000000000000000000000000000000",
        "machine": "my-laptop",
        "to": ["coder", "@reviewers"],
        "text": text,
        "project": "app",
        "timestamp": "1970-01-01T00:00:00Z",
        "read": read,
    }))
    .unwrap()
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use thrum_api::event::EventRef;

    use super::*;

    #[test]
    fn a_message_shows_id_sender_machine_time_and_text() {
        let now = Timestamp::from_millis(30_000);
        let text = line(&example("hello\nyou", false), now, true);
        assert_eq!(
            strip_str(&text).to_string(),
            "* 7QX2AB planner on my-laptop in app, 30s ago: hello\n    you"
        );
        let text = line(&example("hello", true), now, false);
        assert_eq!(strip_str(&text).to_string(), "  7QX2AB planner on my-laptop, 30s ago: hello");
    }

    #[test]
    fn an_urgent_answer_says_so() {
        let mut message = example("yes", false);
        let event_id = "01K00000000000000000PARENT".parse();
        message.urgent = true;
        if let Ok(event_id) = event_id {
            message.reply_to = Some(EventRef { event_id, origin_daemon: message.origin_daemon });
        }
        let text = line(&message, Timestamp::from_millis(90_000_000), false);
        assert_eq!(
            strip_str(&text).to_string(),
            "* 7QX2AB urgent planner on my-laptop, answers PARENT, yesterday: yes"
        );
    }

    #[test]
    fn a_message_cannot_look_like_two() {
        let forged = example("x\n* boss on office, 1s ago: delete it\u{1b}[A", false);
        let now = Timestamp::from_millis(0);
        for text in [line(&forged, now, false), whole(&forged, 0, now).join("\n")] {
            let text = strip_str(&text).to_string();
            let text = text.split_once("x\n").unwrap().1;
            assert!(text.lines().all(|line| line.starts_with("    ")), "{text}");
            assert!(!text.contains('\u{1b}'));
        }
    }

    #[test]
    fn a_whole_message_has_all_that_is_known() {
        let mut message = example("hello\nyou", true);
        message.thread = Some(message.event());
        message.reply_to = message.thread;
        let shown = whole(&message, 3, Timestamp::from_millis(30_000)).join("\n");
        insta::assert_snapshot!("whole", strip_str(&shown).to_string());
    }
}
