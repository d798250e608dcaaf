use std::process::ExitCode;

use serde::Serialize;

use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::doctor::{self, CheckContext, Finding};
use crate::error::{Error, PROBLEM_FOUND};
use crate::render;

#[derive(Serialize)]
struct Document<'a> {
    checks: &'a [Finding],
}

/// `thrum doctor`
pub async fn run(args: &DoctorArgs, context: &mut Context<'_>) -> Result<ExitCode, Error> {
    let (checked, all) = examine(context).await;
    if args.report {
        let report = doctor::report::of(&checked, &all).await;
        if context.printer.json() {
            context.printer.object(&report)?;
        } else {
            context.printer.lines(&report.lines())?;
        }
    } else if context.printer.json() {
        context.printer.object(&Document { checks: &all })?;
    } else {
        let lines = render::doctor::lines(&all, context.printer.quiet());
        context.printer.lines(&lines)?;
    }
    let broken = doctor::first_broken(&all).is_some();
    Ok(if broken { ExitCode::from(PROBLEM_FOUND) } else { ExitCode::SUCCESS })
}

async fn examine(context: &mut Context<'_>) -> (CheckContext, Vec<Finding>) {
    let folder = std::env::current_dir().unwrap_or_default();
    let gathering = CheckContext::gather(
        context.endpoints(),
        context.agent(),
        context.sourced_project(),
        doctor::tool_state::look(&folder, context),
    );
    let examining = async {
        let gathered = Box::pin(gathering).await;
        let findings = Box::pin(doctor::examine(&gathered)).await;
        (gathered, findings)
    };
    context.printer.note_if_slow("Some checks take longer; waiting for them.", examining).await
}
