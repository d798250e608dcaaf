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
        (shown(&file.path, &plan.scope, homes), what)
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
        (shown(&file.path, scope, homes), what)
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
