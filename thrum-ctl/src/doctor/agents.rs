use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use crate::error::Error;
use crate::format::counted;

/// Those who talk, and who you are to them.
pub fn look(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Agents);
    found.add(match &context.daemon {
        Err(_) => found.because("agents", super::service::PROCESS, "not asked"),
        Ok(daemon) => match &daemon.agents {
            Ok(list) => {
                let text = counted(u64::try_from(list.agents.len()).unwrap_or(0), "agent");
                found.ok("agents", format!("{text} seen so far, here and on peers")).fact(text)
            }
            Err(error) => {
                let text = format!("the messages can't be read: {error}");
                found.fail("agents", text).next("thrum daemon logs -n 50").fact(error.word())
            }
        },
    });
    found.add(match (&context.agent, std::env::var_os("THRUM_AGENT")) {
        (Ok(name), _) => found.ok("agent_name", format!("you are {name}")),
        (Err(_), None) => {
            found.ok("agent_name", "no agent is named in this shell: --as NAME or THRUM_AGENT")
        }
        (Err(error), Some(_)) => odd(&found, "agent_name", error),
    });
    found.add(match &context.project {
        Ok(name) => found.ok("agent_project", format!("names are meant in project {name}")),
        Err(error) => odd(&found, "agent_project", error),
    });
    found.all
}

fn odd(found: &Findings, id: &str, error: &Error) -> Finding {
    let look = found.warn(id, error.to_string());
    match error.hint() {
        Some(hint) => look.next(hint),
        None => look,
    }
}
