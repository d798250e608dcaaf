use std::path::Path;

use textwrap::core::display_width;

use crate::format::counted;
use crate::setup::{
    FileState, FileUndo, Homes, How, Outcome, Part, Plan, Scope, SetupCheck, point_title, unified,
};
use crate::terminal::sanitize;

/// Columns of the names of files, at least.
const NAMES_MIN: usize = 25;

/// What setting a tool up changes, one line for each file.
pub fn plan_lines(plan: &Plan, homes: &Homes) -> Vec<String> {
    let named = plan.files.iter().map(|file| {
        let of = |wanted: fn(&Outcome) -> bool| {
            let parts = file.parts.iter().filter(|(_, outcome)| wanted(outcome));
            words(&parts.map(|(part, _)| *part).collect::<Vec<_>>())
        };
        let new = of(|it| *it == Outcome::New);
        let replaced = of(|it| matches!(it, Outcome::Replaced(_)));
        let what = match (new.is_empty(), replaced.is_empty()) {
            _ if !file.is_changed() => "is as it should be".to_owned(),
            (false, true) => format!("+ {}", new.join(", ")),
            (true, _) => format!("~ {}, which has other values", replaced.join(", ")),
            (false, false) => {
                format!("+ {}; ~ {}, which has other values", new.join(", "), replaced.join(", "))
            }
        };
        (linked(&file.path, file.leads_to.as_deref(), &plan.scope, homes), what)
    });
    columns(&named.collect::<Vec<_>>())
}

/// What taking a set-up back changes, one line for each file.
pub fn undo_lines(files: &[FileUndo], scope: &Scope, homes: &Homes) -> Vec<String> {
    let named = files.iter().map(|file| {
        let what = match &file.how {
            How::Restored => "goes back to what it was".to_owned(),
            How::Removed => "is removed".to_owned(),
            How::TakenOut(count) => {
                let entries = counted(*count, "entry").replace("entrys", "entries");
                format!("was changed since: - {entries} of thrum, the rest stays")
            }
            How::Clean => "has nothing of thrum in it".to_owned(),
            How::Stays(why) => format!("stays: {why}"),
        };
        (linked(&file.path, file.leads_to.as_deref(), scope, homes), what)
    });
    columns(&named.collect::<Vec<_>>())
}

/// The files that change, line by line.
pub fn plan_diff(plan: &Plan, homes: &Homes, is_wanted: impl Fn(&Outcome) -> bool) -> Vec<String> {
    let changed = plan.files.iter().filter(|file| file.is_changed());
    let wanted = changed.filter(|file| file.parts.iter().any(|(_, outcome)| is_wanted(outcome)));
    let diffs = wanted.map(|file| {
        let before = file.from.text.as_deref().unwrap_or_default();
        unified(before, &file.to, &shown(&file.path, &plan.scope, homes))
    });
    // What others wrote into the file can't control the terminal.
    let lines: Vec<String> =
        diffs.flat_map(|it| it.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.iter().map(|line| sanitize(line.trim_end_matches('\r')).into_owned()).collect()
}

/// Where and how a tool is set up, in a word or two.
pub fn state(setup: &SetupCheck) -> String {
    let place = match setup.scope {
        Scope::Folder(_) => "here",
        Scope::Person => "everywhere",
    };
    let all = |state: &FileState| setup.files.iter().all(|(_, it)| it == state);
    if setup.is_whole() && setup.is_recorded {
        place.to_owned()
    } else if setup.is_whole() {
        format!("{place}, by others")
    } else if all(&FileState::Missing) {
        format!("{place}, but its files are gone")
    } else {
        format!("{place}, changed since")
    }
}

/// A path as a person says it: from the folder that is set up, or from the home.
pub fn shown(path: &Path, scope: &Scope, homes: &Homes) -> String {
    if let Some(inside) = scope.folder().and_then(|folder| path.strip_prefix(folder).ok()) {
        return sanitize(&inside.to_string_lossy()).into_owned();
    }
    let text = match path.strip_prefix(&homes.home) {
        Ok(inside) => format!("~/{}", inside.display()),
        Err(_) => path.display().to_string(),
    };
    sanitize(&text).into_owned()
}

/// A path, and where a link on the way leads to: that is what changes.
fn linked(path: &Path, leads_to: Option<&Path>, scope: &Scope, homes: &Homes) -> String {
    let shown = shown(path, scope, homes);
    match leads_to {
        None => shown,
        Some(real) => format!("{shown} -> {}", sanitize(&real.to_string_lossy())),
    }
}

/// What entries are for.
pub fn words(parts: &[Part]) -> Vec<String> {
    let mut words = Vec::new();
    if parts.contains(&Part::Server) {
        words.push("thrum (stdio: thrum mcp)".to_owned());
    }
    let points = parts.iter().filter_map(|part| match part {
        Part::Hook(point) => Some(point_title(*point)),
        _ => None,
    });
    let points: Vec<_> = points.collect();
    if !points.is_empty() {
        words.push(format!("{} ({})", counted(points.len(), "hook"), points.join(", ")));
    }
    for (part, word) in [
        (Part::Permission, "1 permission (mcp__thrum)"),
        (Part::OutsideSandbox, "1 command outside the sandbox (thrum)"),
        (Part::Plugin, "a plugin"),
        (Part::Lines, "what an agent has to know about thrum"),
    ] {
        if parts.contains(&part) {
            words.push(word.to_owned());
        }
    }
    if words.is_empty() && parts.contains(&Part::Form) {
        words.push("the version of its form".to_owned());
    }
    words
}

fn columns(rows: &[(String, String)]) -> Vec<String> {
    let widest = rows.iter().map(|(name, _)| display_width(name)).max().unwrap_or_default();
    let width = widest.max(NAMES_MIN);
    let line = |(name, what): &(String, String)| {
        format!("{name}{} {what}", " ".repeat(width.saturating_sub(display_width(name))))
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use thrum_api::local::HookPoint;

    use super::*;
    use crate::setup::Tool;

    #[test]
    fn entries_are_told_by_what_they_are_for() {
        let hooks = [Part::Hook(HookPoint::Stop), Part::Hook(HookPoint::SessionEnd)];
        for (parts, told) in [
            (vec![], ""),
            (vec![Part::Form], "the version of its form"),
            (vec![Part::Form, hooks[0]], "1 hook (stop)"),
            (
                vec![Part::Permission, hooks[0], hooks[1], Part::Server],
                "thrum (stdio: thrum mcp), 2 hooks (stop, end), 1 permission (mcp__thrum)",
            ),
        ] {
            assert_eq!(words(&parts).join(", "), told);
        }
    }

    #[test]
    fn a_state_says_where_and_whether_it_is_still_so() {
        let setup = |scope, is_recorded, states: [FileState; 2]| {
            let files = states.into_iter().map(|state| ("x".into(), state)).collect();
            state(&SetupCheck { tool: Tool::Codex, scope, is_recorded, files })
        };
        let here = || Scope::Folder("/app".into());
        let (whole, gone) = (FileState::AsWritten, FileState::Missing);
        let of = |first: &FileState, second: &FileState| [first.clone(), second.clone()];
        for (told, expected) in [
            (setup(here(), true, of(&whole, &whole)), "here"),
            (setup(here(), false, of(&whole, &whole)), "here, by others"),
            (setup(Scope::Person, true, of(&whole, &gone)), "everywhere, changed since"),
            (setup(Scope::Person, true, of(&gone, &gone)), "everywhere, but its files are gone"),
        ] {
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_path_is_told_from_where_the_person_is() {
        let homes = Homes::below(Path::new("/home/ann"));
        let scope = Scope::Folder("/home/ann/app".into());
        for (path, told) in [
            ("/home/ann/app/.codex/config.toml", ".codex/config.toml"),
            ("/home/ann/.codex/config.toml", "~/.codex/config.toml"),
            ("/srv/codex/config.toml", "/srv/codex/config.toml"),
            ("/srv/\u{1b}[2J/config.toml", "/srv/\\u{1b}[2J/config.toml"),
        ] {
            assert_eq!(shown(Path::new(path), &scope, &homes), told);
        }
    }
}
