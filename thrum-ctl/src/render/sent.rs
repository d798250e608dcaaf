//! The messages that an agent sent, and how far each got.

use thrum_api::Timestamp;
use thrum_api::local::{DeliveryState, MessageStatusResult, RecipientStatus};

use super::delivery::{machine, obstacle, progress, route};
use super::message::INDENT;
use super::table::Table;
use crate::format::{age, count, counted, message_id, since};
use crate::printer::{BOLD, DIM, styled};
use crate::terminal::{sanitize, sanitize_lines};

/// Most recipients of a message that have a row each.
const EACH_MAX: u64 = 3;
/// The least columns for the table.
const TABLE_LEAST: usize = 60;

/// The messages in a table, a row for each recipient; sentences in a narrow terminal.
pub fn lines(
    messages: &[MessageStatusResult],
    now: Timestamp,
    columns: Option<usize>,
) -> Vec<String> {
    if columns.is_some_and(|columns| columns < TABLE_LEAST) {
        return messages.iter().flat_map(|message| sentences(message, now)).collect();
    }
    let mut table = Table::new(&["ID", "TO", "STORED", "THERE", "READ", "ANSWERED"]);
    for message in messages {
        let id = message_id(message.message.event_id);
        let stored = age(message.timestamp, now);
        if is_counted(message) {
            table.row_with_rest(vec![id, to(message), stored], &counts(message));
            continue;
        }
        for recipient in &message.recipients {
            row(
                &mut table,
                vec![id.clone(), recipient.agent.clone(), stored.clone()],
                recipient,
                now,
            );
        }
    }
    table.lines()
}

/// Whether it has one row, whatever its recipients are.
fn is_counted(message: &MessageStatusResult) -> bool {
    message.deleted || message.total > EACH_MAX || message.recipients.is_empty()
}

fn row(table: &mut Table, mut cells: Vec<String>, recipient: &RecipientStatus, now: Timestamp) {
    let obstacle = obstacle(recipient, now);
    if recipient.state >= DeliveryState::There {
        cells.push(machine(recipient));
    }
    if let (None, Some(obstacle)) = (recipient.read_at, &obstacle) {
        return table.row_with_rest(cells, obstacle);
    }
    if recipient.state >= DeliveryState::There {
        let by =
            recipient.route.and_then(route).map_or_else(String::new, |how| format!(" ({how})"));
        cells.push(recipient.read_at.map_or_else(|| "-".to_owned(), |at| age(at, now) + &by));
        cells.push(recipient.answered_at.map_or_else(|| "-".to_owned(), |at| age(at, now)));
        return table.row(cells);
    }
    table.row_with_rest(cells, &format!("on its way to {}", machine(recipient)));
}

fn to(message: &MessageStatusResult) -> String {
    if message.all { "everyone".to_owned() } else { message.to.join(", ") }
}

fn counts(message: &MessageStatusResult) -> String {
    if message.deleted {
        return "deleted".to_owned();
    }
    if message.total == 0 {
        return "no recipient is known yet".to_owned();
    }
    let number = |number: u64, word: &str| format!("{} {word}", count(number));
    let of = format!("{} of {} read", count(message.read), count(message.total));
    format!("{of}, {}, {}", number(message.there, "there"), number(message.answered, "answered"))
}

fn sentences(message: &MessageStatusResult, now: Timestamp) -> Vec<String> {
    let id = styled(DIM, &message_id(message.message.event_id));
    let stored = since(message.timestamp, now);
    if is_counted(message) {
        return vec![format!("{id} to {}, {stored}: {}", sanitize(&to(message)), counts(message))];
    }
    let each = message.recipients.iter().map(|recipient| {
        let name = styled(BOLD, &sanitize(&recipient.agent));
        format!("{id} to {name}, {stored}: {}", progress(recipient, now))
    });
    each.collect()
}

/// One message with every recipient that is told of.
pub fn details(message: &MessageStatusResult, now: Timestamp) -> Vec<String> {
    let head = format!(
        "{} to {}, stored here {}:",
        styled(DIM, &message_id(message.message.event_id)),
        styled(BOLD, &sanitize(&to(message))),
        since(message.timestamp, now)
    );
    let text = if message.deleted { "(deleted)" } else { &message.text };
    let mut lines = vec![head, format!("{INDENT}{}", sanitize_lines(text, INDENT))];
    if !message.deleted {
        lines.extend(delivery(message, now));
    }
    lines
}

/// A line for each recipient, and for those that are left out.
pub fn delivery(message: &MessageStatusResult, now: Timestamp) -> Vec<String> {
    let mut lines: Vec<String> = message
        .recipients
        .iter()
        .map(|it| format!("{}: {}", styled(BOLD, &sanitize(&it.agent)), progress(it, now)))
        .collect();
    let shown = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let more = message.total.saturating_sub(shown);
    if more > 0 {
        lines.push(format!("and {} that it got further to", counted(more, "agent")));
    }
    if message.total > EACH_MAX || lines.is_empty() {
        lines.push(counts(message));
    }
    lines
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::super::delivery::recipient;
    use super::*;

    fn message(last: char, total: u64, recipients: Vec<RecipientStatus>) -> MessageStatusResult {
        let origin = "d_01K0000000000000000000000000000000000000000000000000";
        serde_json::from_value(json!({
            "message": {"event_id": format!("01K000000000000000007QX2A{last}"), "origin_daemon": origin},
            "sequence": 7, "from": "planner", "to": ["reviewer"], "text": "look\nhere\u{1b}[2J",
            "timestamp": "1970-01-01T00:00:00Z", "recipients": recipients,
            "total": total, "there": 30, "read": 12, "answered": 1,
        }))
        .unwrap()
    }

    fn all() -> Vec<MessageStatusResult> {
        let done = recipient(json!({
            "state": "answered", "read_at": "1970-01-01T00:01:00Z", "route": "wait",
            "answered_at": "1970-01-01T00:02:00Z",
        }));
        let far = recipient(json!({
            "agent": "tester", "machine": "gpu-box", "state": "stored",
            "obstacle": "unreachable", "behind": 31, "since": "1970-01-01T00:00:00Z",
        }));
        let asleep = recipient(json!({"agent": "sleeper\n", "obstacle": "no_session"}));
        let mut everyone = message('C', 40, vec![done.clone()]);
        everyone.all = true;
        let mut deleted = message('D', 1, vec![done.clone()]);
        deleted.deleted = true;
        let woken = recipient(json!({
            "agent": "app-codex", "state": "read", "read_at": "1970-01-01T00:01:00Z", "route": "wake",
        }));
        let under_way = recipient(json!({"state": "stored"}));
        vec![
            message('A', 1, vec![done]),
            message('B', 3, vec![far, asleep, under_way]),
            everyone,
            deleted,
            message('E', 0, vec![]),
            message('F', 1, vec![woken]),
        ]
    }

    fn shown(lines: &[String]) -> String {
        lines.iter().map(|line| strip_str(line).to_string()).collect::<Vec<_>>().join("\n")
    }

    const NOW_MS: i64 = 180_000;

    #[test]
    fn each_recipient_has_a_row_and_many_are_counted() {
        let now = Timestamp::from_millis(NOW_MS);
        insta::assert_snapshot!("sent", shown(&lines(&all(), now, None)));
        insta::assert_snapshot!("sent_20", shown(&lines(&all(), now, Some(20))));
    }

    #[test]
    fn one_message_shows_every_recipient() {
        let now = Timestamp::from_millis(NOW_MS);
        let texts = all().into_iter().map(|message| shown(&details(&message, now)));
        insta::assert_snapshot!("sent_one", texts.collect::<Vec<_>>().join("\n\n"));
    }
}
