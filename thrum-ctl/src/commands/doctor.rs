use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::doctor::{self, Around, Found};
use crate::error::{Error, PROBLEM_FOUND};
use crate::screen;

/// Waiting longer than this is worth a word.
const SLOW: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Document<'a> {
    checks: &'a [Found],
}

/// `thrum doctor`
pub async fn run(args: &DoctorArgs, context: &mut Context<'_>) -> Result<ExitCode, Error> {
    let (around, all) = look(context).await;
    if args.report {
        let report = doctor::report::of(&around, &all).await;
        if context.printer.json() {
            context.printer.object(&report)?;
        } else {
            report.lines().iter().try_for_each(|line| context.printer.line(line))?;
        }
    } else if context.printer.json() {
        context.printer.object(&Document { checks: &all })?;
    } else {
        let lines = screen::doctor::lines(&all, context.printer.quiet());
        lines.iter().try_for_each(|line| context.printer.line(line))?;
    }
    let broken = doctor::first_broken(&all).is_some();
    Ok(if broken { ExitCode::from(PROBLEM_FOUND) } else { ExitCode::SUCCESS })
}

async fn look(context: &mut Context<'_>) -> (Around, Vec<Found>) {
    let around = Around::gather(context.places(), context.agent(), context.project());
    let mut looking = pin!(async {
        let around = around.await;
        let found = doctor::examine(&around).await;
        (around, found)
    });
    tokio::select! {
        all = &mut looking => all,
        () = tokio::time::sleep(SLOW) => {
            context.printer.note("Waiting for what does not answer at once.");
            looking.await
        }
    }
}
