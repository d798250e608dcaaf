use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use crate::error::Error;
use crate::format::counted;
use crate::project::Project;

/// Checks the agents, and your agent and project names.
pub fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Agents);
    found.add(match &context.daemon {
        Err(_) => found.because("agents", super::service::unasked(context), "not checked"),
        Ok(daemon) => match &daemon.agents {
            None => found.because("agents", "views", "not checked"),
            Some(Ok(list)) => {
                let text = counted(list.agents.len(), "agent");
                found.ok("agents", format!("{text} seen on this machine and its peers")).fact(text)
            }
            Some(Err(error)) => {
                let text = format!("the messages can't be read: {error}");
                found.fail("agents", text).next("thrum daemon logs -n 50").fact(error.word())
            }
        },
    });
    found.add(match (&context.agent, std::env::var_os("THRUM_AGENT")) {
        (Ok(name), _) => found.ok("agent_name", format!("your agent name is {name}")),
        (Err(_), None) => {
            found.ok("agent_name", "no agent name is set in this shell: --as NAME or THRUM_AGENT")
        }
        (Err(error), Some(_)) => invalid_name(&found, "agent_name", error),
    });
    found.add(match &context.project {
        Ok(Project { name, source }) => {
            found.ok("agent_project", format!("the project is {name}: {source}"))
        }
        Err(error) => invalid_name(&found, "agent_project", error),
    });
    found.all
}

fn invalid_name(found: &Findings, id: &str, error: &Error) -> Finding {
    let finding = found.warn(id, error.to_string());
    match error.hint() {
        Some(hint) => finding.next(hint),
        None => finding,
    }
}
