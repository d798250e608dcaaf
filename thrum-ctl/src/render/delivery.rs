//! How far a message got, in words.

use std::collections::BTreeMap;

use thrum_api::event::{Reach, Route};
use thrum_api::local::{AgentState, DeliveryState, Obstacle, RecipientStatus};
use thrum_api::{DaemonId, Timestamp};

use crate::format::{age, count, counted, short_id, since};
use crate::terminal::sanitize;

/// Most recipients that are told of one by one when a message is sent.
const EACH_MAX: usize = 5;

/// The machine of a recipient, sanitized.
pub fn machine(recipient: &RecipientStatus) -> String {
    match (&recipient.machine, recipient.daemon_id) {
        (Some(machine), _) => sanitize(machine).into_owned(),
        (None, Some(id)) => short_id(&id.to_string()),
        (None, None) => "?".to_owned(),
    }
}

/// How a message was shown to its reader, for brackets.
pub const fn route(route: Route) -> Option<&'static str> {
    match route {
        Route::Wait => Some("by wait"),
        Route::Inbox => Some("by inbox"),
        Route::Hook => Some("by hook"),
        Route::Mcp => Some("by MCP"),
        Route::Wake => Some("woken"),
        Route::Page => Some("on the page"),
        Route::Other => None,
    }
}

/// Why a message did not get further, sanitized.
pub fn obstacle(recipient: &RecipientStatus, now: Timestamp) -> Option<String> {
    let machine = machine(recipient);
    let behind = recipient.behind.filter(|behind| *behind > 0);
    Some(match recipient.obstacle? {
        Obstacle::UnknownName => {
            "nobody has seen an agent of this name: it waits for one".to_owned()
        }
        Obstacle::Unreachable => {
            let how_long =
                recipient.since.map_or_else(String::new, |since| match age(since, now) {
                    day if day == "yesterday" => " since yesterday".to_owned(),
                    age => format!(" for {age}"),
                });
            match behind {
                Some(behind) => {
                    format!("{machine} is {} behind, unreachable{how_long}", count(behind))
                }
                None => format!("{machine} is unreachable{how_long}"),
            }
        }
        Obstacle::Behind => match behind {
            Some(behind) => format!("{machine} is {} behind", count(behind)),
            None => format!("on its way to {machine}"),
        },
        Obstacle::Relayed => {
            format!("{machine} is no peer of this machine, and has not said yet that it is there")
        }
        Obstacle::NoSession => "no session: it waits in the inbox".to_owned(),
        Obstacle::NotShown => match recipient.live {
            Some(AgentState::Waiting) => "a session is waiting for it",
            Some(AgentState::Working) => match recipient.reach {
                Some(Reach::Wake | Reach::Hooks) => {
                    "a session is working: it sees it at its next step"
                }
                _ => "a session is working, and has not shown it yet",
            },
            Some(AgentState::NeedsYou) => {
                "its session waits for a person, and has not shown it yet"
            }
            Some(AgentState::Idle) => match recipient.reach {
                Some(Reach::Wake) => "a session is idle: it is woken",
                Some(Reach::Hooks) => "a session is idle: it sees it at its next prompt",
                _ => "a session is idle, and has not shown it yet",
            },
            Some(AgentState::Unreachable | AgentState::Gone) | None => "not shown yet",
        }
        .to_owned(),
    })
}

/// How far a message got to one recipient, for a list in which its name stands before it.
pub fn progress(recipient: &RecipientStatus, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if recipient.state >= DeliveryState::There {
        parts.push(format!("there on {}", machine(recipient)));
    }
    if let Some(read) = read(recipient, now) {
        parts.push(format!("read {read}"));
    }
    if recipient.state == DeliveryState::Answered {
        let when =
            recipient.answered_at.map_or_else(String::new, |at| format!(" {}", since(at, now)));
        parts.push(format!("answered{when}"));
    }
    parts.extend(obstacle(recipient, now));
    if parts.is_empty() {
        parts.push(format!("on its way to {}", machine(recipient)));
    }
    parts.join(", ")
}

/// When and how it was read.
fn read(recipient: &RecipientStatus, now: Timestamp) -> Option<String> {
    let at = recipient.read_at?;
    let route = match recipient.route.and_then(route) {
        Some(woken) if recipient.route == Some(Route::Wake) => format!(" ({woken})"),
        Some(by) => format!(" {by}"),
        None => String::new(),
    };
    Some(format!("{}{route}", since(at, now)))
}

/// What is told at once of a message that was sent: whether it will be seen. `own`: the daemon here, if known.
pub fn sentences(
    recipients: &[RecipientStatus],
    total: u64,
    own: Option<DaemonId>,
    now: Timestamp,
) -> Vec<String> {
    if recipients.len() <= EACH_MAX {
        return recipients.iter().map(|recipient| sentence(recipient, own, now)).collect();
    }
    let number = |is: &dyn Fn(&&RecipientStatus) -> bool| recipients.iter().filter(is).count();
    let there = number(&|it| it.state >= DeliveryState::There);
    let live = number(&|it| is_live(it.live));
    let unknown = number(&|it| it.obstacle == Some(Obstacle::UnknownName));
    let mut text = format!(
        "To {}: stored here; {there} of them have it on their machines, {live} have a session",
        counted(total, "agent")
    );
    if unknown > 0 {
        text.push_str(&format!(", {unknown} have not been seen yet"));
    }
    vec![format!("{text}.")]
}

const fn is_live(state: Option<AgentState>) -> bool {
    use AgentState::{Idle, NeedsYou, Waiting, Working};
    matches!(state, Some(NeedsYou | Working | Waiting | Idle))
}

fn sentence(recipient: &RecipientStatus, own: Option<DaemonId>, now: Timestamp) -> String {
    let name = sanitize(&recipient.agent);
    let obstacle = obstacle(recipient, now);
    if recipient.daemon_id.is_none() {
        let why = obstacle.unwrap_or_else(|| "nobody has seen it yet".to_owned());
        return format!("To {name}: stored here; {why}.");
    }
    let is_here = own.is_some() && own == recipient.daemon_id;
    let place = if is_here { "this machine".to_owned() } else { machine(recipient) };
    if recipient.state == DeliveryState::Stored {
        // A machine that can be reached gets it in a moment: at first it always lacks this one.
        let why = match (recipient.obstacle, recipient.behind) {
            (Some(Obstacle::Behind), None | Some(0 | 1)) => "on its way there".to_owned(),
            (Some(Obstacle::Behind), Some(behind)) => {
                format!("on its way there ({place} is {} behind)", count(behind))
            }
            _ => obstacle.unwrap_or_else(|| format!("on its way to {place}")),
        };
        let waits = match recipient.live {
            Some(AgentState::Waiting) => " A session is waiting there.",
            Some(AgentState::Working) => " A session is working there.",
            Some(AgentState::Idle) => match recipient.reach {
                Some(Reach::Wake) => " A session is idle there: it is woken.",
                Some(Reach::Hooks) => " A session is idle there: it sees it at its next prompt.",
                _ => " A session is idle there.",
            },
            Some(AgentState::NeedsYou) => " Its session waits for a person.",
            Some(AgentState::Gone) if recipient.obstacle == Some(Obstacle::Behind) => {
                " No session there now."
            }
            _ => "",
        };
        return format!("To {name} on {place}: stored here; {why}.{waits}");
    }
    let next = match (read(recipient, now), obstacle) {
        (Some(read), _) => format!("read {read}"),
        (None, Some(obstacle)) => obstacle,
        (None, None) => String::new(),
    };
    // Without knowing which daemon this is, nobody knows whether that is the same.
    let there = match own {
        Some(_) if is_here => "stored here",
        Some(_) => "stored here, and there",
        None => "stored there",
    };
    let next = match capital(&next) {
        next if next.is_empty() => next,
        next => format!(" {next}."),
    };
    format!("To {name} on {place}: {there}.{next}")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Tells of each name without a machine that several machines have an agent of it.
pub fn same_names(to: &[String], recipients: &[RecipientStatus]) -> Vec<String> {
    let mut machines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for recipient in recipients.iter().filter(|it| it.daemon_id.is_some()) {
        machines.entry(&recipient.agent).or_default().push(machine(recipient));
    }
    let named = |name: &str| to.iter().any(|to| to.trim_start_matches('@') == name);
    let several = machines.into_iter().filter(|(name, on)| on.len() > 1 && named(name));
    several
        .map(|(name, on)| {
            let name = sanitize(name);
            let all = if on.len() == 2 { "both" } else { "all" };
            let first = on.first().map(String::as_str).unwrap_or_default();
            format!("{name} is on {}: {all} get it. To one only: {name}@{first}", on.join(" and "))
        })
        .collect()
}

/// A recipient for tests.
#[cfg(test)]
pub fn recipient(of: serde_json::Value) -> RecipientStatus {
    let mut json = serde_json::json!({
        "agent": "reviewer", "machine": "office-server", "state": "there",
        "daemon_id": "d_01K0000000000000000000000000000000000000000000000000",
    });
    for (key, value) in of.as_object().unwrap() {
        json[key] = value.clone();
    }
    if json["daemon_id"].is_null() {
        json.as_object_mut().unwrap().retain(|key, _| !["daemon_id", "machine"].contains(&&**key));
    }
    serde_json::from_value(json).unwrap()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(180_000)
    }

    #[test]
    fn what_is_told_at_once_is_what_is_known() {
        let own = recipient(json!({})).daemon_id;
        let other = Some(DaemonId::from_bytes([9; 32]));
        let cases = [
            (json!({"obstacle": "not_shown", "live": "waiting"}), other),
            (json!({"obstacle": "not_shown", "live": "working"}), own),
            (json!({"obstacle": "not_shown", "live": "working", "reach": "hooks"}), own),
            (json!({"obstacle": "not_shown", "live": "idle"}), own),
            (json!({"obstacle": "not_shown", "live": "idle", "reach": "hooks"}), own),
            (json!({"obstacle": "not_shown", "live": "idle", "reach": "wake"}), other),
            (
                json!({"state": "stored", "obstacle": "behind", "live": "idle", "reach": "wake"}),
                other,
            ),
            (json!({"state": "read", "read_at": "1970-01-01T00:02:58Z", "route": "wake"}), own),
            (json!({"obstacle": "no_session", "live": "gone"}), other),
            (json!({"state": "read", "read_at": "1970-01-01T00:02:58Z", "route": "wait"}), None),
            (
                json!({"state": "stored", "obstacle": "behind", "behind": 1, "live": "waiting"}),
                None,
            ),
            (
                json!({"state": "stored", "obstacle": "unreachable", "behind": 1031,
                    "since": "1970-01-01T00:00:00Z"}),
                None,
            ),
            (json!({"state": "stored", "obstacle": "unreachable"}), None),
            (json!({"state": "stored", "obstacle": "relayed"}), None),
            (json!({"state": "stored"}), None),
            (json!({"state": "stored", "daemon_id": null, "obstacle": "unknown_name"}), None),
            (json!({"agent": "\u{1b}[2J", "machine": "a\nb"}), None),
        ];
        let all = cases.map(|(of, own)| sentences(&[recipient(of)], 1, own, now()).join("\n"));
        insta::assert_snapshot!("sentences", all.join("\n"));
    }

    #[test]
    fn many_recipients_are_counted() {
        let mut all = vec![recipient(json!({"live": "idle"})); 40];
        all.extend([
            recipient(json!({"state": "stored"})),
            recipient(json!({"state": "stored", "daemon_id": null, "obstacle": "unknown_name"})),
        ]);
        assert_eq!(
            sentences(&all, 1042, None, now()),
            [
                "To 1,042 agents: stored here; 40 of them have it on their machines, 40 have a session, 1 have not been seen yet."
            ]
        );
    }

    #[test]
    fn a_name_on_two_machines_is_told() {
        let all = [recipient(json!({})), recipient(json!({"machine": "my-laptop"}))];
        let told = same_names(&["reviewer".to_owned()], &all);
        let text = "reviewer is on office-server and my-laptop: both get it. To one only: reviewer@office-server";
        assert_eq!(told, [text]);
        assert!(same_names(&["reviewer@my-laptop".to_owned(), "@all".to_owned()], &all).is_empty());
    }

    #[test]
    fn progress_has_every_step() {
        let done = recipient(json!({
            "state": "answered", "read_at": "1970-01-01T00:01:00Z", "route": "inbox",
            "answered_at": "1970-01-01T00:02:00Z",
        }));
        assert_eq!(
            progress(&done, now()),
            "there on office-server, read 2m ago by inbox, answered 1m ago"
        );
        assert_eq!(
            progress(&recipient(json!({"state": "stored"})), now()),
            "on its way to office-server"
        );
    }
}
