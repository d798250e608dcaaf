//! What is known of the tools of agents in a folder.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use thrum_api::Timestamp;

use crate::context::Context;
use crate::hook::notes::{self, Entry, Notes};
use crate::setup::{self, SetupCheck, Tool, identity};

/// What is known of a tool in this folder.
#[derive(Debug, Clone)]
pub struct ToolState {
    /// The tool.
    pub tool: Tool,
    /// Whether its program is here.
    pub is_here: bool,
    /// Whether it was set up for this folder, or for all folders of the person; or why that is unknown.
    pub is_set_up: Result<bool, String>,
    /// Whether its idle sessions are woken.
    pub wake: bool,
    /// Where it is set up, and how its files are: for the folder or one around it, and for the person.
    pub setups: Vec<SetupCheck>,
    /// The folder that is looked at, without links in its path.
    pub folder: PathBuf,
    /// When its hooks were changed, if none of them ran since and the tool asks a person to review such a change.
    pub unreviewed: Option<Timestamp>,
    /// What is noted of its hooks in this folder.
    pub noted: Option<Entry>,
    /// The file in which that is noted.
    pub notes_file: Option<PathBuf>,
    /// When its hooks ran last in any folder.
    pub ran_elsewhere: Option<Timestamp>,
}

/// Looks for the tools that have hooks.
pub fn look(folder: &Path, context: &Context<'_>) -> Vec<ToolState> {
    let notes = Notes::read();
    // What can't be read is told of by identity.
    let checked = setup::check(folder).unwrap_or_default();
    let canonical = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    // What is noted of tools that this thrum doesn't know, too.
    let is_noted = |tool| tool != Tool::Script || notes.of(tool, folder).is_some();
    let tools = Tool::ALL.into_iter().filter(|tool| is_noted(*tool));
    let state = |tool: Tool| {
        let known = identity(tool, folder, context);
        let setups: Vec<_> = checked.iter().filter(|it| it.tool == tool).cloned().collect();
        let noted = notes.of(tool, folder).cloned();
        let ran_elsewhere = notes.last_start(tool);
        let ran_here = noted.as_ref().and_then(|noted| noted.ran.values().max().copied());
        ToolState {
            tool,
            is_here: tool.programs().iter().any(|program| which::which(program).is_ok()),
            wake: known.as_ref().is_ok_and(|known| known.wake),
            is_set_up: known.map(|known| known.is_set_up).map_err(|error| error.to_string()),
            unreviewed: unreviewed(tool, &setups, ran_here, ran_elsewhere),
            setups,
            folder: canonical.clone(),
            noted,
            notes_file: notes::file(),
            ran_elsewhere,
        }
    };
    tools.map(state).collect()
}

/// When hooks that wait for a person's review were changed last. Codex does not run a hook that was changed, and says so at its
/// start only. One that ran since was reviewed.
fn unreviewed(
    tool: Tool,
    setups: &[SetupCheck],
    ran_here: Option<Timestamp>,
    ran_anywhere: Option<Timestamp>,
) -> Option<Timestamp> {
    if tool != Tool::Codex {
        return None;
    }
    let changed = setups.iter().filter_map(|setup| {
        // Those of the person run in every folder.
        let ran = setup.scope.folder().map_or_else(|| ran_anywhere.max(ran_here), |_| ran_here);
        let hooks = setup.files.iter().map(|(path, _)| path).find(|it| it.ends_with("hooks.json"));
        let changed = hooks.and_then(|path| changed_at(path))?;
        (ran.is_some_and(|ran| changed > ran)).then_some(changed)
    });
    changed.max()
}

fn changed_at(path: &Path) -> Option<Timestamp> {
    let changed = std::fs::metadata(path).and_then(|file| file.modified()).ok()?;
    let millis = changed.duration_since(UNIX_EPOCH).ok()?.as_millis();
    i64::try_from(millis).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::{FileState, Scope};

    #[test]
    fn hooks_of_codex_that_were_changed_after_their_last_run_are_not_reviewed() {
        let folder = tempfile::tempdir().unwrap();
        let hooks = folder.path().join("hooks.json");
        std::fs::write(&hooks, "{}").unwrap();
        let changed = changed_at(&hooks).unwrap();
        let at = |offset| Some(Timestamp::from_millis(changed.as_millis() + offset));
        let of = |tool, scope, here, anywhere| {
            let files = vec![
                (folder.path().join("config.toml"), FileState::AsWritten),
                (hooks.clone(), FileState::AsWritten),
            ];
            let setup = SetupCheck { tool, scope, is_recorded: true, files };
            unreviewed(tool, &[setup], here, anywhere)
        };
        let here = || Scope::Folder(folder.path().to_owned());
        assert_eq!(of(Tool::Codex, here(), at(-5), at(5)), Some(changed));
        assert_eq!(of(Tool::Codex, here(), at(5), at(5)), None);
        assert_eq!(of(Tool::Codex, Scope::Person, at(-5), at(5)), None, "it ran in another folder");
        assert_eq!(of(Tool::Codex, Scope::Person, at(-5), at(-3)), Some(changed));
        assert_eq!(of(Tool::Codex, here(), None, None), None, "that it never ran says enough");
        assert_eq!(of(Tool::ClaudeCode, here(), at(-5), at(-5)), None, "it asks for no review");
    }
}
