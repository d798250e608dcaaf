use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::doctor::{self, CheckContext, Finding};
use crate::error::{Error, PROBLEM_FOUND};
use crate::render;

/// Time after which a note says that the checks are still running.
const SLOW: Duration = Duration::from_secs(2);

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
            report.lines().iter().try_for_each(|line| context.printer.line(line))?;
        }
    } else if context.printer.json() {
        context.printer.object(&Document { checks: &all })?;
    } else {
        let lines = render::doctor::lines(&all, context.printer.quiet());
        lines.iter().try_for_each(|line| context.printer.line(line))?;
    }
    let broken = doctor::first_broken(&all).is_some();
    Ok(if broken { ExitCode::from(PROBLEM_FOUND) } else { ExitCode::SUCCESS })
}

async fn examine(context: &mut Context<'_>) -> (CheckContext, Vec<Finding>) {
    let gathering = CheckContext::gather(context.endpoints(), context.agent(), context.project());
    let mut examining = pin!(async {
        let gathered = gathering.await;
        let findings = doctor::examine(&gathered).await;
        (gathered, findings)
    });
    tokio::select! {
        all = &mut examining => all,
        () = tokio::time::sleep(SLOW) => {
            context.printer.note("Some checks take longer; waiting for them.");
            examining.await
        }
    }
}
