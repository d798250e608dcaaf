use std::process::ExitCode;
use std::time::Duration;

use thrum_api::local::{Status, StatusResult};
use thrum_api::method::Empty;

use crate::cli::StatusArgs;
use crate::clock;
use crate::context::Context;
use crate::error::{Error, PROBLEM_FOUND};
use crate::render;

const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// `thrum status`
pub async fn run(args: &StatusArgs, context: &mut Context<'_>) -> Result<ExitCode, Error> {
    if args.watch {
        return watch(context).await;
    }
    let mut client = context.daemon().await?;
    let status = client.call::<Status>(&Empty {}).await?;
    if args.check {
        let found = !status.problems.is_empty();
        return Ok(if found { ExitCode::from(PROBLEM_FOUND) } else { ExitCode::SUCCESS });
    }
    show(&status, context)?;
    if context.printer.verbose() && !context.printer.json() {
        context.printer.line(&format!("socket           {}", client.path().display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(status: &StatusResult, context: &mut Context<'_>) -> Result<(), Error> {
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(status);
    }
    printer.lines(&render::status::lines(status, clock::now(), printer.verbose()))
}

async fn watch(context: &mut Context<'_>) -> Result<ExitCode, Error> {
    let redraw = context.printer.out_is_terminal() && !context.printer.json();
    loop {
        let asked = async { context.daemon().await?.call::<Status>(&Empty {}).await };
        let status = asked.await;
        if redraw {
            context.printer.clear()?;
            match status {
                Ok(status) => show(&status, context)?,
                // Keeps watching, because the daemon may only be restarting.
                Err(error) => context.printer.line(&error.to_string())?,
            }
        } else {
            context.printer.object(&status?)?;
        }
        tokio::time::sleep(REFRESH_INTERVAL).await;
    }
}
