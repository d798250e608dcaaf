//! Whether an agent runs this command. It is a hint and no wall: who can run commands can hide where they come from.

use crate::error::Error;
use crate::tool_process;

/// Programs of tools, by which their shells are recognised.
const PROGRAMS: [&str; 6] = ["claude", "codex", "gemini", "copilot", "opencode", "cursor-agent"];
/// Variables that tools set for the commands that they run. A person has none of them in a terminal.
const VARIABLES: [&str; 12] = [
    "CLAUDECODE",
    "CLAUDE_CODE_SESSION_ID",
    "AI_AGENT",
    "CODEX_THREAD_ID",
    "CODEX_CI",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_NETWORK_DISABLED",
    "GEMINI_CLI",
    "COPILOT_CLI",
    "COPILOT_AGENT_SESSION_ID",
    "OPENCODE",
    "CURSOR_AGENT",
];

/// Refuses what only a person may allow if an agent's tool runs this command.
///
/// # Errors
/// When it does.
pub fn refuse_waking() -> Result<(), Error> {
    match sign() {
        None => Ok(()),
        Some(sign) => Err(Error::failed(
            format!(
                "waking is for a person to allow, and an agent's tool runs this command ({sign})"
            ),
            "run this in a terminal of your own",
        )),
    }
}

/// By what an agent's tool is recognised that runs this command.
pub fn sign() -> Option<String> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    sign_in(&is_set, &tool_process::program_above)
}

fn sign_in(is_set: &dyn Fn(&str) -> bool, above: &dyn Fn() -> Vec<String>) -> Option<String> {
    if let Some(name) = VARIABLES.into_iter().find(|name| is_set(name)) {
        return Some(format!("{name} is set"));
    }
    // Only the closest program counts: what a tool has started in turn, such as a test, clears its variables on purpose.
    let program = above().into_iter().find(|name| PROGRAMS.contains(&name.as_str()))?;
    Some(format!("{program} has started it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variable: &str, above: &[&str]) -> Option<String> {
        let above = || above.iter().map(|&it| it.to_owned()).collect();
        sign_in(&|name| name == variable, &above)
    }

    #[test]
    fn an_agents_tool_is_recognised_by_its_variables_and_its_program() {
        assert_eq!(told("CLAUDECODE", &["sshd"]).as_deref(), Some("CLAUDECODE is set"));
        let above = ["node", "node", "gemini"];
        assert_eq!(told("", &above).as_deref(), Some("gemini has started it"));
        // What a person sets for a tool, and what has a name like one.
        assert_eq!(told("CODEX_HOME", &["Claude", "cursor", "codex-notes", "init"]), None);
    }
}
