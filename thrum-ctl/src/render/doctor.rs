//! The output of `thrum doctor`: each section with its checks, and what to do first.

use anstyle::Style;
use thrum_api::local::CheckState;

use crate::doctor::{Finding, Section, first_broken, state_word};
use crate::format::counted;
use crate::printer::{BOLD, DIM, GREEN, RED, YELLOW, styled};
use crate::terminal::sanitize;

/// The lines of the output; only warnings and failures if `short`.
pub fn lines(all: &[Finding], short: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for section in Section::ALL {
        let shown = |found: &&Finding| found.section == section && (!short || found.is_bad());
        let mut checks = all.iter().filter(shown).peekable();
        if checks.peek().is_none() {
            continue;
        }
        lines.push(styled(BOLD, section.word()));
        let mut peer = None;
        while let Some(found) = checks.next() {
            if found.peer != peer {
                peer.clone_from(&found.peer);
                if let Some(name) = &found.peer {
                    lines.push(format!("  {}", styled(BOLD, &sanitize(name))));
                }
            }
            let indent = if peer.is_some() { "    " } else { "  " };
            if found.check.state != CheckState::Skipped {
                check(found, indent, &mut lines);
                continue;
            }
            // Checks that were skipped for the same reason share a line.
            let mut ids = vec![sanitize(&found.check.id)];
            while let Some(next) = checks.next_if(|next| has_same_skip_reason(found, next)) {
                ids.push(sanitize(&next.check.id));
            }
            let (word, style) = (state_word(found.check.state), style(found.check.state));
            let why = match &found.check.because {
                Some(because) => format!("because of {}", sanitize(because)),
                None => sanitize(&found.check.message).into_owned(),
            };
            lines.push(format!("{indent}{}  {}: {why}", styled(style, word), ids.join(", ")));
        }
        lines.push(String::new());
    }
    lines.extend(summary(all));
    lines
}

const fn style(state: CheckState) -> Style {
    match state {
        CheckState::Ok => GREEN,
        CheckState::Warn => YELLOW,
        CheckState::Fail => RED,
        CheckState::Skipped => DIM,
    }
}

fn has_same_skip_reason(one: &Finding, other: &Finding) -> bool {
    let same_reason = match &one.check.because {
        Some(_) => one.check.because == other.check.because,
        None => other.check.because.is_none() && one.check.message == other.check.message,
    };
    other.check.state == CheckState::Skipped && one.peer == other.peer && same_reason
}

fn check(found: &Finding, indent: &str, lines: &mut Vec<String>) {
    let state = found.check.state;
    let word = styled(style(state), &format!("{:<4}", state_word(state)));
    let message = sanitize(&found.check.message);
    lines.push(format!("{indent}{word}  {message}"));
    if !found.is_bad() {
        return;
    }
    if let Some(next) = &found.check.next {
        lines.push(format!("{indent}      next: {}", sanitize(next)));
    }
    lines.push(format!(
        "{indent}      {}",
        styled(DIM, &format!("{}: {}", sanitize(&found.check.id), found.docs))
    ));
}

/// The first failure, and the number of checks in each state.
fn summary(all: &[Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    let number = |state| all.iter().filter(|found| found.check.state == state).count();
    if let Some(found) = first_broken(all) {
        // Most messages already name the peer.
        let unnamed = found.peer.as_ref().filter(|name| !found.check.message.contains(*name));
        let peer = unnamed.map_or_else(String::new, |name| format!("{}: ", sanitize(name)));
        lines.push(format!(
            "{} {peer}{}",
            styled(RED, "First failure:"),
            sanitize(&found.check.message)
        ));
        if let Some(next) = &found.check.next {
            lines.push(format!("  {}", sanitize(next)));
        }
    }
    let checks = counted(all.len(), "check");
    let mut counts = Vec::new();
    for (state, word) in [
        (CheckState::Fail, "failed"),
        (CheckState::Warn, "with warnings"),
        (CheckState::Skipped, "skipped"),
    ] {
        if number(state) > 0 {
            counts.push(format!("{} {word}", number(state)));
        }
    }
    if first_broken(all).is_none() && number(CheckState::Warn) == 0 {
        lines.push(styled(GREEN, "Nothing is broken."));
    }
    lines.push(match counts.is_empty() {
        true => checks,
        false => format!("{checks}: {}", counts.join(", ")),
    });
    lines
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use thrum_api::local::Check;

    use super::*;

    fn found(section: Section, id: &str, state: CheckState, message: &str) -> Finding {
        let check = Check {
            id: id.to_owned(),
            state,
            message: message.to_owned(),
            next: None,
            because: None,
        };
        Finding::of(section, check)
    }

    fn screen() -> Vec<Finding> {
        use CheckState::{Fail, Ok, Skipped, Warn};
        let because = |id: &str, cause: &str| {
            let mut found = found(Section::Peers, id, Skipped, "not checked");
            found.check.because = Some(cause.to_owned());
            found.peer = Some("old-mac".to_owned());
            found
        };
        let mut known = found(Section::Peers, "peer_known", Ok, "it is in the tailnet");
        known.peer = Some("vm-1".to_owned());
        let mut port =
            found(Section::Peers, "peer_port", Fail, "nothing listens on 100.64.0.7:9100");
        port.peer = Some("old-mac".to_owned());
        port.check.next = Some("there: thrum daemon start".to_owned());
        let mut disk = found(Section::Log, "disk", Warn, "71 MiB left on the disk of /s");
        disk.check.next = Some("df -h".to_owned());
        vec![
            found(Section::Install, "install_thrumd", Ok, "thrumd is /usr/bin/thrumd"),
            disk,
            found(Section::Tailnet, "tailscale_running", Skipped, "this kind does not use it"),
            known,
            port,
            because("peer_http", "peer_port"),
            because("peer_token", "peer_port"),
            because("peer_sync", "peer_known"),
            found(Section::Agents, "agents", Ok, "3 agents seen\u{1b}[2J so far"),
        ]
    }

    fn text(all: &[Finding], short: bool) -> String {
        let lines = lines(all, short);
        lines.iter().map(|line| strip_str(line).to_string()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_output_shows_all_checks_and_what_to_do_first() {
        insta::assert_snapshot!("doctor", text(&screen(), false));
    }

    #[test]
    fn quiet_shows_only_warnings_and_failures() {
        insta::assert_snapshot!("doctor_quiet", text(&screen(), true));
    }

    #[test]
    fn a_healthy_machine_is_told_so() {
        let fine = [found(Section::Clock, "clock_set", CheckState::Ok, "it is noon")];
        assert!(
            text(&fine, true).ends_with("Nothing is broken.\n1 check"),
            "{}",
            text(&fine, true)
        );
    }
}
