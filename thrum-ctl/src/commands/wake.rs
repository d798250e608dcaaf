//! `thrum wake`

use thrum_api::local::{WakeSwitch, WakeSwitchParams, WakeSwitchResult};

use crate::by_agent;
use crate::cli::WakeCommand;
use crate::context::Context;
use crate::error::Error;
use crate::terminal::sanitize;

/// `thrum wake on`, `off` and `status`
pub async fn run(command: &WakeCommand, context: &mut Context<'_>) -> Result<(), Error> {
    let (off, args) = match command {
        WakeCommand::On(args) => (Some(false), args),
        WakeCommand::Off(args) => (Some(true), args),
        WakeCommand::Status(args) => (None, args),
    };
    if off == Some(false) {
        by_agent::refuse_waking()?;
    }
    let project = if args.all_projects { None } else { Some(context.project()?) };
    let params = WakeSwitchParams { project: project.clone(), off };
    let result = context.daemon().await?.call_again::<WakeSwitch>(&params).await?;
    let lines = lines(&result, project.as_deref());
    match off {
        Some(_) => context.printer.done(&result, &lines.join("\n")),
        None if context.printer.json() => context.printer.object(&result),
        None => context.printer.lines(&lines),
    }
}

/// Where sessions are woken, for a project or for all.
fn lines(result: &WakeSwitchResult, project: Option<&str>) -> Vec<String> {
    if result.all_off {
        return vec![
            "Waking is off on this machine: messages wait for the next prompt. On again: thrum wake on --all-projects"
                .to_owned(),
        ];
    }
    let off = |project: &str| {
        format!("Waking is off in {}: messages wait for the next prompt.", sanitize(project))
    };
    match project {
        Some(project) if result.projects_off.iter().any(|it| it == project) => {
            vec![format!("{} On again: thrum wake on", off(project))]
        }
        Some(project) => vec![format!(
            "Waking is on in {}, for sessions that were set up with thrum init --wake.",
            sanitize(project)
        )],
        None if result.projects_off.is_empty() => {
            vec!["Waking is on, for sessions that were set up with thrum init --wake.".to_owned()]
        }
        None => {
            // The switch of all projects leaves those of single ones as they are.
            let lines = result.projects_off.iter().map(|project| off(project));
            let again = "On again, for each of them: thrum wake on --project NAME".to_owned();
            lines.chain([again]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_said_with_how_to_undo_it() {
        let told = |all_off, off: &[&str], project| {
            let projects_off = off.iter().map(|&it| it.to_owned()).collect();
            lines(&WakeSwitchResult { all_off, projects_off }, project).join("|")
        };
        let cases = [
            told(false, &[], Some("app")),
            told(false, &["app"], Some("app")),
            told(true, &[], Some("app")),
            told(false, &["app", "x\u{1b}"], None),
            told(false, &[], None),
            told(true, &["app"], None),
        ];
        insta::assert_snapshot!("wake", cases.join("\n"));
    }
}
