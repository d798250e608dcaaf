use std::path::{Path, PathBuf};
use std::process::Command;

use thrum_api::duration::ago;
use thrum_api::local::RestorePlan;

use super::peers::confirm;
use crate::cli::RestoreArgs;
use crate::clock;
use crate::context::Context;
use crate::daemon_process::find_thrumd;
use crate::endpoint::{Endpoints, Owner};
use crate::error::{Error, ExitOutput};
use crate::format::counted;
use crate::terminal::sanitize;

/// `thrum restore`
pub async fn run(args: &RestoreArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let endpoints = context.endpoints();
    let state_dir = chosen(&endpoints, "restore FILE")?;
    let file = std::path::absolute(&args.file)
        .map_err(|source| Error::io("can't read the current folder", source))?;
    let plan = thrumd("--plan-restore", &file, &state_dir, &endpoints)?;
    if args.confirm.dry_run && context.printer.json() {
        return context.printer.object(&plan);
    }
    describe(&plan, &file, context);
    if args.confirm.dry_run {
        return context.printer.line("Nothing was changed.");
    }
    let loses_nothing = plan.loses == Some(0) && plan.notes.is_empty();
    if !args.confirm.yes && !loses_nothing {
        confirm("Restore it? [y/N] ", context.printer).await?;
    }
    let done = thrumd("--restore", &file, &state_dir, &endpoints)?;
    for kept in &done.kept {
        context.printer.note(&format!("Kept what was replaced: {}", sanitize(kept)));
    }
    let start = endpoints.place(state_dir).owner.start_command();
    let text = format!("Restored {}. Start it: {start}", counted(done.events, "event"));
    context.printer.done(&done, &text)
}

/// The state directory that these words are about.
///
/// # Errors
/// When nobody has said which daemon is meant, and it is hardly a new one of this user.
pub fn chosen(endpoints: &Endpoints, words: &str) -> Result<PathBuf, Error> {
    endpoints.chosen_state_dir().map_err(|other| {
        let (dir, own) = (other.state_dir.display(), endpoints.own_state_dir());
        let named = match other.owner {
            Owner::System => format!("sudo thrum {words}"),
            Owner::Homebrew | Owner::User => format!("THRUM_STATE_DIR={dir} thrum {words}"),
        };
        Error::usage(
            format!(
                "no thrumd was used in {} yet, and this machine has one in {dir}",
                own.display()
            ),
            format!(
                "for that one: {named}; for one of your own: THRUM_STATE_DIR={} thrum {words}",
                own.display()
            ),
        )
    })
}

/// Says what restoring does, before it is done.
fn describe(plan: &RestorePlan, file: &Path, context: &mut Context<'_>) {
    context.printer.note(&format!(
        "{}: {}, made {}, of {}. It goes to {}.",
        file.display(),
        counted(plan.events, "event"),
        ago(plan.made_at, clock::now()),
        plan.daemon_id,
        sanitize(&plan.state_dir)
    ));
    match plan.loses {
        Some(0) => context.printer.note("It lacks no event of the present log."),
        Some(count) => context.printer.note(&format!(
            "It lacks {} of the present log: those that a peer holds come back by themselves, the others \
             are then only in the log that is kept.",
            counted(count, "event")
        )),
        None => {}
    }
    for note in &plan.notes {
        context.printer.note(&format!("Note: {}.", sanitize(note)));
    }
}

/// Runs thrumd, which reads and writes the state directory.
fn thrumd(
    option: &str,
    file: &Path,
    state_dir: &Path,
    endpoints: &Endpoints,
) -> Result<RestorePlan, Error> {
    let thrumd = find_thrumd()?;
    let output = Command::new(&thrumd)
        .arg(option)
        .arg(file)
        .env("THRUM_SOCKET", endpoints.own_socket())
        .env("THRUM_STATE_DIR", state_dir)
        .output()
        .map_err(|source| Error::io(format!("can't run {}", thrumd.display()), source))?;
    if !output.status.success() {
        let said = ExitOutput::of(&String::from_utf8_lossy(&output.stderr));
        let text = said.to_string();
        let hint = said.hint.unwrap_or_else(|| "thrum help restore".to_owned());
        return Err(Error::failed(text, hint));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
        Error::failed(
            format!("thrumd said what is no plan: {error}"),
            "thrum and thrumd may have different versions",
        )
    })
}
