//! The tools of agents: whether they are set up here, whether their hooks run, and whether idle sessions are woken.

use std::path::{Path, PathBuf};

use thrum_api::Timestamp;
use thrum_api::local::WakeSwitchResult;

use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use super::tool_state::ToolState;
use crate::clock;
use crate::error::Error;
use crate::format::{counted, shell_word, since};
use crate::hook::notes::SESSION_START;
use crate::setup::{FileState, SetupCheck, Tool};
use crate::terminal::sanitize;

const WAKING: &str = "tool_waking";

/// Checks each tool that is here or set up.
pub fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Agents);
    let now = clock::now();
    for state in &context.tools {
        if state.tool == Tool::Script {
            found.all.extend(unknown(&found, state, now));
            continue;
        }
        let is_set_up = match &state.is_set_up {
            Ok(is_set_up) => *is_set_up || state.noted.is_some() || !state.setups.is_empty(),
            Err(error) => {
                let id = id("tool_setup", state.tool);
                let text = format!("can't tell whether {} is set up: {error}", state.tool.title());
                found.add(found.warn(&id, text).next("thrum init --list").fact("unknown"));
                continue;
            }
        };
        if is_set_up {
            if !state.setups.is_empty() {
                found.add(files(&found, state));
            }
            found.add(hooks(&found, state, now));
            found.all.extend(last_error(&found, state, now));
        } else if state.is_here {
            let text = format!("{} is here, and not set up in this folder", state.tool.title());
            let next = format!("thrum init {}", state.tool);
            found.add(found.ok(&id("tool_setup", state.tool), text).next(next).fact("not set up"));
        }
    }
    found.add(waking(&found, context));
    found.all
}

fn id(check: &str, tool: Tool) -> String {
    format!("{check}_{}", tool.name().replace('-', "_"))
}

/// Whether the files are as they were written.
fn files(found: &Findings, state: &ToolState) -> Finding {
    let (id, title) = (id("tool_files", state.tool), state.tool.title());
    let name = |path: &PathBuf| sanitize(&path.display().to_string()).into_owned();
    let all = || state.setups.iter().flat_map(|setup| &setup.files);
    let wrong = all().filter_map(|(path, state)| {
        Some(match state {
            FileState::AsWritten => return None,
            FileState::Changed => {
                format!("{} has something else than thrum init writes", name(path))
            }
            FileState::Missing => format!("{} has nothing of thrum", name(path)),
            FileState::Unreadable(why) => {
                format!("{} can't be read: {}", name(path), sanitize(why))
            }
        })
    });
    let wrong: Vec<_> = wrong.collect();
    let of = all().count();
    if wrong.is_empty() {
        let text =
            format!("the files of {title} are as thrum init writes them ({})", counted(of, "file"));
        return found.ok(&id, text).fact("as written");
    }
    let text =
        format!("the files of {title} are not as thrum init writes them: {}", wrong.join("; "));
    let fact = format!("{} of {of} differ", wrong.len());
    let finding = found.warn(&id, text).fact(fact);
    match state.setups.iter().find(|setup| !setup.is_whole()) {
        Some(setup) => finding.next(show_changes(setup, &state.folder)),
        None => finding,
    }
}

/// The command that shows what differs: that of the set-up that differs, in its own folder.
fn show_changes(setup: &SetupCheck, here: &Path) -> String {
    let tool = setup.tool;
    match setup.scope.folder() {
        None => format!("thrum init {tool} --user --dry-run"),
        Some(folder) if folder == here => format!("thrum init {tool} --dry-run"),
        Some(folder) => {
            let folder = shell_word(&sanitize(&folder.display().to_string()));
            format!("cd {folder} && thrum init {tool} --dry-run")
        }
    }
}

/// Whether the hooks ran in the last session.
fn hooks(found: &Findings, state: &ToolState, now: Timestamp) -> Finding {
    let (id, title) = (id("tool_hooks", state.tool), state.tool.title());
    let ran = state.noted.as_ref().map(|noted| &noted.ran).filter(|ran| !ran.is_empty());
    if let (Some(_), Some(changed)) = (ran, state.unreviewed) {
        let changed = since(changed, now);
        let text = format!("the hooks of {title} were changed {changed}, and have not run since");
        return found.warn(&id, text).next(confirm(state.tool)).fact("not since a change");
    }
    if let Some(ran) = ran {
        let start = ran.get(SESSION_START).copied();
        // Those of sessions before say nothing of the last one.
        let points = ran.iter().filter(|(_, at)| start.is_none_or(|start| **at >= start));
        let points: Vec<_> = points.map(|(point, _)| sanitize(point).into_owned()).collect();
        let last = ran.values().max().map_or_else(String::new, |at| since(*at, now));
        let text = format!("the hooks of {title} ran here, last {last} ({})", points.join(", "));
        return found.ok(&id, text).fact(counted(points.len(), "point"));
    }
    if let Some(at) = state.ran_elsewhere {
        let at = since(at, now);
        let text =
            format!("the hooks of {title} have not run in this folder yet, and elsewhere {at}");
        return found.ok(&id, text).fact("elsewhere");
    }
    let next = confirm(state.tool);
    found.warn(&id, format!("the hooks of {title} have not run yet")).next(next).fact("never")
}

/// What a person does so that the hooks run.
const fn confirm(tool: Tool) -> &'static str {
    match tool {
        Tool::Codex => "start codex here, and review the hooks when it asks",
        Tool::ClaudeCode => "start claude here, and trust the folder when it asks",
        _ => "start a session here; confirm the hooks if the tool asks",
    }
}

/// The last error, unless a session has begun since.
fn last_error(found: &Findings, state: &ToolState, now: Timestamp) -> Option<Finding> {
    let noted = state.noted.as_ref()?;
    let failure = noted.error.as_ref()?;
    if noted.ran.get(SESSION_START).is_some_and(|start| *start > failure.at) {
        return None;
    }
    let text = format!(
        "{} of {} failed {}: {}",
        sanitize(&failure.what),
        state.tool.title(),
        since(failure.at, now),
        sanitize(&failure.error)
    );
    let file =
        state.notes_file.as_ref().map(|file| sanitize(&file.display().to_string()).into_owned());
    let file = file.map_or_else(String::new, |file| format!("see it in {file}; "));
    let next = format!("{file}the next session that begins here ends this warning");
    Some(found.warn(&id("tool_error", state.tool), text).next(next).fact("an error"))
}

/// A tool that this version doesn't know ran a hook lately.
fn unknown(found: &Findings, state: &ToolState, now: Timestamp) -> Option<Finding> {
    const LATELY_MILLIS: u64 = 86_400_000;
    let failure = state.noted.as_ref()?.error.as_ref()?;
    if now.millis_since(failure.at) > LATELY_MILLIS {
        return None;
    }
    let (what, error) = (sanitize(&failure.what), sanitize(&failure.error));
    let text = format!("`thrum {what}` failed {}: {error}", since(failure.at, now));
    let next = "update thrum, or take the hook out of the tool's settings";
    Some(found.warn("tool_unknown", text).next(next).fact("an error"))
}

/// Whether idle sessions are woken here.
fn waking(found: &Findings, context: &CheckContext) -> Finding {
    let Ok(daemon) = &context.daemon else {
        return found.because(WAKING, super::service::unasked(context), "not checked");
    };
    let asked: Vec<_> =
        context.tools.iter().filter(|it| it.wake).map(|it| it.tool.title()).collect();
    let project = context.project.as_ref().ok().map(|project| project.name.as_str());
    switch(found, &daemon.waking, project, &asked)
}

/// What the switch says of this project; `asked`: the tools whose sessions are to be woken.
fn switch(
    found: &Findings,
    waking: &Result<WakeSwitchResult, Error>,
    project: Option<&str>,
    asked: &[&str],
) -> Finding {
    let is_off = |waking: &WakeSwitchResult| {
        project.is_some_and(|name| waking.projects_off.iter().any(|it| it == name))
    };
    let again = match waking {
        Ok(waking) if waking.all_off => Some("thrum wake on --all-projects"),
        Ok(waking) if is_off(waking) => Some("thrum wake on"),
        _ => None,
    };
    if let Some(again) = again {
        let text =
            format!("waking is off: messages wait for the next prompt; to switch it on: {again}");
        return found.ok(WAKING, text).next(again).fact("off");
    }
    if asked.is_empty() {
        return found
            .ok(WAKING, "no idle session is woken here: nobody asked for it")
            .fact("not asked");
    }
    if let Err(error) = waking {
        let text = format!("not checked: thrumd does not say whether waking is off ({error})");
        return found.skipped(WAKING, text).fact("not checked");
    }
    let text =
        format!("messages wake idle sessions of {}; to stop it: thrum wake off", asked.join(", "));
    found.ok(WAKING, text).fact(format!("on for {}", asked.len()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::nowhere;
    use super::*;
    use crate::hook::notes::{Entry, Failure};
    use crate::setup::Scope;

    fn ago(seconds: i64) -> Timestamp {
        Timestamp::from_millis(clock::now().as_millis() - seconds * 1000)
    }

    fn state(tool: Tool, is_set_up: bool) -> ToolState {
        ToolState {
            tool,
            is_here: true,
            is_set_up: Ok(is_set_up),
            wake: false,
            setups: Vec::new(),
            folder: "/secret-name/app".into(),
            unreviewed: None,
            noted: None,
            notes_file: Some("/secret-name/hooks.json".into()),
            ran_elsewhere: None,
        }
    }

    fn setup(scope: Scope, files: &[(&str, FileState)]) -> SetupCheck {
        let files = files.iter().map(|(path, state)| (path.into(), state.clone())).collect();
        SetupCheck { tool: Tool::Copilot, scope, is_recorded: true, files }
    }

    fn noted(tool: Tool, ran: &[(&str, i64)], error_ago: Option<i64>) -> Entry {
        let ran = ran.iter().map(|(point, seconds)| ((*point).to_owned(), ago(*seconds))).collect();
        let error = error_ago.map(|seconds| Failure {
            at: ago(seconds),
            what: "hook stop".to_owned(),
            error: "secret-name\u{1b}[2J".to_owned(),
        });
        Entry { tool, folder: "/secret-name".into(), ran, error }
    }

    #[test]
    fn each_tool_that_is_here_or_set_up_is_told_of() {
        let mut elsewhere = state(Tool::Copilot, true);
        elsewhere.ran_elsewhere = Some(ago(7200));
        let mut ran = state(Tool::ClaudeCode, true);
        let points = [("session-start", 300), ("prompt", 240), ("stop", 9000)];
        ran.noted = Some(noted(Tool::ClaudeCode, &points, Some(9000)));
        let here = || Scope::Folder("/secret-name/app".into());
        ran.setups = vec![setup(here(), &[("/secret-name/.mcp.json", FileState::AsWritten)])];
        let mut failed = state(Tool::Gemini, false);
        failed.noted = Some(noted(Tool::Gemini, &[("session-start", 300)], Some(180)));
        let unknown =
            ToolState { is_set_up: Err("damaged".to_owned()), ..state(Tool::Cursor, false) };
        let unreadable = FileState::Unreadable("no JSON\u{1b}".to_owned());
        elsewhere.setups = vec![
            setup(here(), &[("/secret-name/a", FileState::AsWritten)]),
            setup(
                Scope::Person,
                &[("/secret-name/b", FileState::Changed), ("/secret-name/c", FileState::Missing)],
            ),
            setup(Scope::Folder("/".into()), &[("/secret-name/d", unreadable)]),
        ];
        let mut changed = state(Tool::Codex, true);
        changed.noted = Some(noted(Tool::Codex, &[("session-start", 300)], None));
        changed.unreviewed = Some(ago(60));
        let absent = ToolState { is_here: false, ..state(Tool::Cursor, false) };
        let folder = tempfile::tempdir().unwrap();
        let mut context = nowhere(folder.path());
        context.tools = vec![
            ran,
            state(Tool::Codex, true),
            changed,
            failed,
            elsewhere,
            state(Tool::Opencode, false),
            absent,
            unknown,
        ];
        let all = check(&context);
        let lines = all.iter().map(|found| {
            let check = &found.check;
            assert!(!found.fact.as_ref().is_some_and(|fact| fact.contains("secret")), "{found:?}");
            assert!(check.next.is_some() || !found.is_bad(), "{found:?}");
            let next = check.next.as_deref().unwrap_or("-");
            format!("{} {:?}: {} [{next}] [{:?}]", check.id, check.state, check.message, found.fact)
        });
        insta::assert_snapshot!("tools", lines.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn what_differs_is_shown_by_the_command_of_its_own_set_up() {
        let here = Path::new("/srv/app");
        let shown = |scope| show_changes(&setup(scope, &[]), here);
        let cases = [
            shown(Scope::Folder(here.to_owned())),
            shown(Scope::Person),
            shown(Scope::Folder("/srv/my app".into())),
        ];
        insta::assert_snapshot!("show_changes", cases.join("\n"));
    }

    #[test]
    fn waking_that_is_off_is_told_with_the_command_that_switches_it_on() {
        let found = Findings::of(Section::Agents);
        let is = |all_off, off: &[&str]| {
            let projects_off = off.iter().map(|&it| it.to_owned()).collect();
            Ok(WakeSwitchResult { all_off, projects_off })
        };
        let refused = || Err(Error::failed("it is refused here", "ask outside"));
        let told = |waking, asked: &[&str]| {
            let check = switch(&found, &waking, Some("app"), asked).check;
            format!("{:?}: {} [{}]", check.state, check.message, check.next.unwrap_or_default())
        };
        let cases = [
            told(is(true, &["app"]), &["Codex"]),
            told(is(false, &["app"]), &["Codex"]),
            told(is(false, &["other"]), &["Codex", "OpenCode"]),
            told(is(false, &[]), &[]),
            told(refused(), &["Codex"]),
            told(refused(), &[]),
        ];
        insta::assert_snapshot!("waking", cases.join("\n"));
    }

    #[test]
    fn the_manual_explains_each_check() {
        let manual = include_str!("../../../docs/operations.md");
        for check in ["tool_setup", "tool_files", "tool_hooks", "tool_error"] {
            assert!(manual.contains(&format!("\n| `{check}_TOOL` |")), "{check}");
        }
    }
}
