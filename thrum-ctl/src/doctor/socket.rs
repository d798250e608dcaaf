use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use super::service::{PROCESS, Process, process};
use thrum_api::duration::rounded;

use crate::endpoint::{Endpoint, Owner};
use crate::error::Error;

/// Checks the socket of the daemon.
pub fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Socket);
    let endpoint = context.endpoint();
    let path = endpoint.path.display();
    let shown = format!("{path} ({})", reason(context, &endpoint));
    let error = match &context.daemon {
        Ok(daemon) => {
            found.add(found.ok("socket_found", format!("the socket is {shown}")));
            found.add(found.ok("socket_permission", "you may use it"));
            let text = format!("thrumd answers, running for {}", rounded(daemon.health.uptime_ms));
            found.add(found.ok("socket_answers", text));
            return found.all;
        }
        Err(error) => error,
    };
    match error {
        Error::NotRunning { endpoints, .. } => {
            let text = format!("there is no socket at {endpoints}");
            found.add(found.because("socket_found", "service_process", text));
            found.add(found.because("socket_permission", "socket_found", "no socket"));
            found.add(found.because("socket_answers", "socket_found", "no socket"));
        }
        Error::NotPermitted { path, hint, .. } => {
            let path = path.display();
            found.add(found.ok("socket_found", format!("the socket is {path}")));
            let text = format!("you are not allowed to use {path}");
            found.add(found.fail("socket_permission", text).next(hint.as_str()));
            found.add(found.because("socket_answers", "socket_permission", "not checked"));
        }
        Error::Died { .. } => {
            found.add(found.ok("socket_found", format!("the socket is {shown}")));
            found.add(found.ok("socket_permission", "you may use it"));
            let text = "nothing listens on the socket";
            found.add(match process(context) {
                Process::Gone => found.because("socket_answers", PROCESS, text),
                _ => found.fail("socket_answers", text).next("thrum daemon restart"),
            });
        }
        Error::TimedOut { .. } => {
            found.add(found.ok("socket_found", format!("the socket is {shown}")));
            found.add(found.ok("socket_permission", "you may use it"));
            let text = "the socket is open, but thrumd does not answer";
            found.add(match process(context) {
                Process::Gone => found.because("socket_answers", PROCESS, text),
                process => {
                    let next = context.how_to_see_why().unwrap_or_else(|| match process {
                        Process::Unresponsive(pid) => format!("ps -o stat,wchan,etime -p {pid}"),
                        _ => "thrum daemon restart".to_owned(),
                    });
                    found.fail("socket_answers", text).next(next).fact(error.word())
                }
            });
        }
        other => {
            found.add(found.ok("socket_found", format!("the socket is {shown}")));
            found.add(found.ok("socket_permission", "you may use it"));
            let mut text = format!("no proper answer: {other}");
            for cause in other.causes() {
                text.push_str(&format!(": {cause}"));
            }
            let next = other.hint().unwrap_or_else(|| "thrum daemon restart".to_owned());
            let finding = found.fail("socket_answers", text).next(next);
            found.add(finding.fact(other.word()));
        }
    }
    found.all
}

/// Why this endpoint is used.
fn reason(context: &CheckContext, endpoint: &Endpoint) -> &'static str {
    if context.endpoints.socket.is_some() {
        return "named by --socket or THRUM_SOCKET";
    }
    if context.endpoints.state_dir.is_some() {
        return "in THRUM_STATE_DIR";
    }
    match endpoint.owner {
        Owner::User => "of your own daemon",
        Owner::System => "of the system service",
        Owner::Homebrew => "of Homebrew's service",
    }
}
