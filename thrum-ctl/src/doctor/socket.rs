use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use super::service::{PROCESS, Process, SANDBOX, process};
use thrum_api::duration::rounded;

use crate::endpoint::{Endpoint, Owner};
use crate::error::Error;

/// Checks the socket of the daemon.
pub fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Socket);
    let endpoint = context.endpoint();
    let path = endpoint.path.display();
    let shown = format!("{path} ({})", reason(context, &endpoint));
    match &context.daemon {
        Err(Error::NotRunning { endpoints, .. }) => {
            let text = format!("there is no socket at {endpoints}");
            found.add(found.because("socket_found", PROCESS, text));
            found.add(found.because("socket_permission", "socket_found", "no socket"));
            found.add(found.because("socket_answers", "socket_found", "no socket"));
            return found.all;
        }
        Err(Error::NotListening { missing, next, .. }) => {
            let text = format!("{missing}, but thrumd is running");
            found.add(found.fail("socket_found", text).next(*next));
            found.add(found.because("socket_permission", "socket_found", "no socket"));
            found.add(found.because("socket_answers", "socket_found", "no socket"));
            return found.all;
        }
        Err(Error::NotPermitted { path, hint, .. }) => {
            let path = path.display();
            found.add(found.ok("socket_found", format!("the socket is {path}")));
            let text = format!("you are not allowed to use {path}");
            found.add(found.fail("socket_permission", text).next(hint.as_str()));
            found.add(found.because("socket_answers", "socket_permission", "not checked"));
            return found.all;
        }
        Err(Error::Sandboxed { path, hint, .. }) => {
            let text = format!("a sandbox forbids the socket {}", path.display());
            found.add(found.because("socket_found", SANDBOX, "not to be seen"));
            found.add(found.fail(SANDBOX, text).next(hint.as_str()));
            found.add(found.because("socket_permission", SANDBOX, "not to be seen"));
            found.add(found.because("socket_answers", SANDBOX, "not checked"));
            return found.all;
        }
        _ => {}
    }
    found.add(found.ok("socket_found", format!("the socket is {shown}")));
    found.add(found.ok("socket_permission", "you may use it"));
    found.add(answers(context, &found));
    found.all
}

/// Checks a narrow socket, which is one that answers.
pub fn narrow(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Socket);
    if let Ok(daemon) = &context.daemon {
        let (path, version) = (daemon.socket.display(), &daemon.health.version);
        let text = format!(
            "{path} is a narrow socket: thrumd {version} answers, and tells no more of itself"
        );
        found.add(found.ok("socket_answers", text));
    }
    found.all
}

/// Whether thrumd answers on the socket.
fn answers(context: &CheckContext, found: &Findings) -> Finding {
    let id = "socket_answers";
    match &context.daemon {
        Ok(daemon) => {
            let up = rounded(daemon.health.uptime_ms);
            found.ok(id, format!("thrumd answers, running for {up}"))
        }
        Err(Error::Died { .. }) => {
            let text = "nothing listens on the socket";
            match process(context) {
                Process::Gone => found.because(id, PROCESS, text),
                _ => found.fail(id, text).next("thrum daemon restart"),
            }
        }
        Err(error @ Error::TimedOut { .. }) => {
            let text = "the socket is open, but thrumd does not answer";
            let process = process(context);
            if process == Process::Gone {
                return found.because(id, PROCESS, text);
            }
            let next = context.how_to_see_why().unwrap_or_else(|| match process {
                Process::Unresponsive(pid) => format!("ps -o stat,wchan,etime -p {pid}"),
                _ => "thrum daemon restart".to_owned(),
            });
            found.fail(id, text).next(next).fact(error.word())
        }
        Err(other) => {
            let mut text = format!("no proper answer: {other}");
            for cause in other.causes() {
                text.push_str(&format!(": {cause}"));
            }
            let next = other.hint().unwrap_or_else(|| "thrum daemon restart".to_owned());
            found.fail(id, text).next(next).fact(other.word())
        }
    }
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
