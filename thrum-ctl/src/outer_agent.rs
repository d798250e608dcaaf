//! The names that a session's shell got from Thrum. They are for `thrum` as a command there. A tool that is started in that
//! shell is another agent, and must not take the messages of the outer one.

use crate::cli::Global;

/// The agent of the session whose shell this is, where Thrum has said who it is.
pub const VARIABLE: &str = "THRUM_SHELL_AGENT";

/// What was said for a hook or a server of a tool, without what the shell of another session says.
pub fn left_out(choices: Global) -> Global {
    without(choices, std::env::var(VARIABLE).ok().as_deref())
}

fn without(choices: Global, outer: Option<&str>) -> Global {
    // Another name was chosen for this tool, by whoever started it.
    if outer.is_none_or(str::is_empty) || choices.agent.as_deref() != outer {
        return choices;
    }
    Global { agent: None, project: None, ..choices }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_an_outer_agent_are_left_out() {
        let chosen = |agent: &str| Global {
            agent: Some(agent.to_owned()),
            project: Some("p".to_owned()),
            socket: Some("/s".into()),
            ..Global::default()
        };
        let left = |agent, outer| {
            let left = without(chosen(agent), outer);
            assert_eq!(left.socket, Some("/s".into()));
            (left.agent, left.project)
        };
        assert_eq!(left("app-claude", Some("app-claude")), (None, None));
        let said = |agent: &str| (Some(agent.to_owned()), Some("p".to_owned()));
        assert_eq!(left("other", Some("app-claude")), said("other"));
        assert_eq!(left("me", None), said("me"));
        assert_eq!(left("", Some("")), said(""));
    }
}
