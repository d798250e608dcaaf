//! Two agents that answer each other for ever, without a person: the waking stops.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::agent_tools::{Asked, Desk, Installed, Screen, TOOL_LIMIT, Tool, sealed_with};
use tests::harness::{Daemon, eventually, holds, pair};
use thrum_api::local::{BRAKE_MESSAGES, BRAKE_SECONDS};

use crate::shown::quoted_to;

#[test]
fn two_sessions_that_only_answer_each_other_are_not_woken_for_ever() {
    sealed_with(&[Tool::ClaudeCode], |installed| {
        let (laptop, office) = (Daemon::start("laptop"), Daemon::start("office-server"));
        pair(&laptop, &office);
        let (one, _first) = idle_at(installed, &laptop, NAMES[0]);
        let (other, _second) = idle_at(installed, &office, NAMES[1]);
        let desks = [&one, &other];
        eventually(TOOL_LIMIT, || {
            let team = one.thrum(&["team", "-v"]).exits(0).stdout;
            let both = team.matches("messages wake it").count();
            holds(both == 2, || format!("laptop doesn't know both: {team}"))
        });

        // Each answers what it is shown, and thinks no further.
        one.thrum(&["send", "--as", "starter", "one", "Message 0."]).exits(0);
        let mut shown = one.model().asked();
        let mut sent = 0;
        let mut begun = Vec::new();
        loop {
            let here = desks[sent % 2];
            let (_, id) = quoted_to(&shown, &format!("Message {sent}."));
            sent += 1;
            begun.push(Instant::now());
            // The brake counts within a time, in which a slow machine has less.
            let row = sent.checked_sub(2 * BRAKE_MESSAGES).map(|first| begun[first].elapsed());
            assert!(row.is_none_or(|took| took > WITHIN), "it goes on for ever");
            let text = format!("Message {sent}.");
            match sent {
                1 => shown.calls("send_message", json!({"to": "other", "text": text})),
                _ => shown.calls("reply_message", json!({"id": id, "text": text})),
            }
            here.model().asked().says("Answered.");
            match next(here, NAMES[(sent + 1) % 2], desks[sent % 2]) {
                Some(asked) => shown = asked,
                None => break,
            }
        }
        println!("after {sent} messages nobody was woken");
        assert!(sent >= BRAKE_MESSAGES / 2, "only {sent} messages");
    });
}

/// What the other one is asked; none once its machine says that it is woken no more.
#[track_caller]
fn next(here: &Desk, name: &str, other: &Desk) -> Option<Asked> {
    eventually(TOOL_LIMIT, || {
        if let Some(asked) = other.model().question() {
            // Each machine counts: the other one's may have heard first that it is over.
            return Ok(asked.texts_with(OVER).is_empty().then_some(asked));
        }
        // At the end of its turn, if that still goes on; else it waits.
        let told = here.model().question();
        if let Some(told) = told {
            told.text_with(OVER);
            return Ok(None);
        }
        let inbox = here.thrum(&["inbox", "--as", name, "--peek"]).exits(0).stdout;
        holds(inbox.contains(OVER), || "the other one is not asked".to_owned()).map(|()| None)
    })
}

const WITHIN: Duration = Duration::from_secs(BRAKE_SECONDS);
/// What thrumd writes to those whose messages wake somebody no more.
const OVER: &str = "your messages no longer wake";
const NAMES: [&str; 2] = ["one", "other"];

/// A Claude Code that is woken, and that waits for nothing but that.
fn idle_at(installed: &Installed, daemon: &Daemon, name: &str) -> (Desk, Screen) {
    let desk = Desk::new(installed, Tool::ClaudeCode, daemon);
    desk.sets_up(&["--wake", "--as", name]);
    let screen = desk.opens("say hello");
    desk.model().asked().says("Hello.");
    (desk, screen)
}
