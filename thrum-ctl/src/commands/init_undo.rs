use std::path::Path;

use serde_json::{Value, json};

use super::peers::confirm;
use crate::cli::InitArgs;
use crate::context::Context;
use crate::error::Error;
use crate::render::setup::{shown, undo_lines};
use crate::setup::{self, FileUndo, Homes, How, Record, Scope, Tool, Undo};

/// `thrum init TOOL --undo`
pub async fn run(
    tool: Tool,
    scope: &Scope,
    homes: &Homes,
    args: &InitArgs,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let mut lock = None;
    if args.confirm.yes && !args.confirm.dry_run {
        lock = Some(setup::lock().await?);
    }
    let mut record = Record::read()?;
    let undo = Undo::of(tool, scope, homes, &record)?;
    let mut changes = undo.changes();
    let document =
        json!({ "tool": tool, "files": undo.files.iter().map(file).collect::<Vec<_>>() });
    let left = undo.left();
    if changes.is_empty() && !undo.is_recorded && left.is_empty() {
        if let Some(around) = scope.folder().and_then(|folder| record.closest(tool, folder)) {
            return Err(elsewhere(tool, around.folder.as_deref()));
        }
        let text = format!("{} is not set up here: there is nothing to undo.", tool.title());
        return context.printer.done(&json!({ "undone": document }), &text);
    }
    setup::check_writable(&changes)?;
    let lines = undo_lines(&undo.files, scope, homes);
    if args.confirm.dry_run {
        if context.printer.json() {
            return context.printer.object(&json!({ "would_undo": document }));
        }
        context.printer.lines(&lines)?;
        return context.printer.line("Nothing was changed.");
    }
    lines.iter().for_each(|line| context.printer.note(line));
    if !args.confirm.yes && !changes.is_empty() {
        confirm("Take it back? [y/N] ", context.printer).await?;
    }
    if undo.is_recorded {
        undo.forget(tool, scope, &mut record);
        // Last: until then it has the way back.
        changes.push(record.change()?);
    }
    if lock.is_none() {
        // What was read before the question is compared once more with what is there.
        lock = Some(setup::lock().await?);
    }
    setup::apply(&changes)?;
    setup::remove_empty(&undo.folders);
    drop(lock);
    if !left.is_empty() {
        return Err(still_there(tool, &left, scope, homes, args));
    }
    if undo.is_recorded && undo.files.is_empty() {
        context.printer.note(
            "Its files were here before you set it up, and stay. To take thrum out of them, for everybody who shares \
             them: the same command once more.",
        );
    }
    let text = format!("Done. {} is no longer set up here.", tool.title());
    context.printer.done(&json!({ "undone": document }), &text)
}

/// What tells where a tool is set up that isn't here.
fn elsewhere(tool: Tool, folder: Option<&Path>) -> Error {
    let title = tool.title();
    match folder {
        Some(folder) => Error::failed(
            format!("{title} is not set up for this folder, but for {}", folder.display()),
            format!("go to that folder, then: thrum init {tool} --undo"),
        ),
        None => Error::failed(
            format!("{title} is not set up for this folder, but for you in every folder"),
            format!("thrum init {tool} --user --undo"),
        ),
    }
}

/// What tells that something of thrum is left, and in which files.
fn still_there(
    tool: Tool,
    left: &[(&Path, &str)],
    scope: &Scope,
    homes: &Homes,
    args: &InitArgs,
) -> Error {
    let files = left.iter().map(|(path, why)| format!("{}: {why}", shown(path, scope, homes)));
    let user = if args.user { " --user" } else { "" };
    Error::failed(
        format!(
            "{} is not taken back: thrum is still in {}",
            tool.title(),
            files.collect::<Vec<_>>().join("; ")
        ),
        format!("put that right, then again: thrum init {tool}{user} --undo"),
    )
}

fn file(file: &FileUndo) -> Value {
    let state = match &file.how {
        How::Restored => "restored",
        How::Removed => "removed",
        How::TakenOut(_) => "taken_out",
        How::Clean => "clean",
        How::Stays(_) => "stays",
    };
    match &file.how {
        How::Stays(why) => json!({ "path": file.path, "state": state, "why": why }),
        How::TakenOut(count) => json!({ "path": file.path, "state": state, "entries": count }),
        _ => json!({ "path": file.path, "state": state }),
    }
}
