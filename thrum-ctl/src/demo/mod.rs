//! `thrum demo`: runs two real daemons through messages, a crash and recovery, and checks the result.

mod delivery;
mod machine;
mod messages;
mod outage;
mod pairing;
mod report;

use std::process::ExitCode;

use indicatif::ProgressBar;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::cli::DemoArgs;
use crate::context::Context;
use crate::daemon_process::find_thrumd;
use crate::error::Error;
use crate::interrupt::or_interrupted;
use crate::log_file::tail;
use crate::printer::{GREEN, styled};
use delivery::Delivery;
use machine::{Machine, failed};
use report::{Daemon, Messages, Report};

const LOG_LINES: usize = 20;

/// `thrum demo`
pub async fn run(args: &DemoArgs, context: &mut Context<'_>) -> Result<ExitCode, Error> {
    let thrumd = find_thrumd()?;
    let folder = tempfile::Builder::new()
        .prefix("thrum-demo-")
        .tempdir()
        .map_err(|source| Error::io("can't create a temporary directory", source))?;
    // Declared after the folder, so that both daemons end before it is removed.
    let mut a = Machine::new("laptop", folder.path(), &thrumd)?;
    let mut b = Machine::new("server", folder.path(), &thrumd)?;
    let total = u64::from(args.messages) * 2 + u64::from(args.events) * 2;
    let bar = context.printer.progress(total);
    let listen =
        |kind| signal(kind).map_err(|source| Error::io("can't listen for signals", source));
    let mut terminated = listen(SignalKind::terminate())?;
    let mut hung_up = listen(SignalKind::hangup())?;
    let outcome = tokio::select! {
        outcome = or_interrupted(play(args, &mut a, &mut b, &bar)) => outcome,
        _ = terminated.recv() => Err(Error::Cancelled),
        _ = hung_up.recv() => Err(Error::Cancelled),
    };
    bar.finish_and_clear();
    let mut report = match outcome {
        Ok(report) => report,
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(error) => {
            show_logs(&[&a, &b], context);
            return Err(Error::Demo { error: Box::new(error), folder: folder.keep() });
        }
    };
    if args.keep {
        for (daemon, machine) in report.daemons.iter_mut().zip([&a, &b]) {
            daemon.state_dir = Some(machine.state_dir().display().to_string());
        }
    }
    show(&report, context)?;
    if args.keep {
        a.leave_running();
        b.leave_running();
        let kept = folder.keep();
        context.printer.note(&format!(
            "Both daemons keep running. To stop them: thrum daemon stop with each; then rm -r {}",
            kept.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn play(
    args: &DemoArgs,
    a: &mut Machine,
    b: &mut Machine,
    bar: &ProgressBar,
) -> Result<Report, Error> {
    let begin = Instant::now();
    bar.set_message("starting two daemons");
    a.start().await?;
    b.start().await?;
    bar.set_message("pairing them");
    pairing::pair(a, b).await?;

    bar.set_message("messages both ways");
    let there = messages::send(a, b, args.messages, bar).await?;
    let answers = messages::send(b, a, args.messages, bar).await?;
    let messages =
        vec![Messages::of(a.name, b.name, &there), Messages::of(b.name, a.name, &answers)];
    if let Some(direction) = messages.iter().find(|direction| !direction.complete()) {
        return Err(failed(format!("messages were lost or duplicated: {direction:?}")));
    }

    bar.set_message(format!("{} was killed, {} keeps writing", b.name, a.name));
    b.kill()?;
    let delivery = Delivery::begin(a, b).await?;
    let acknowledged = outage::write(a, args.events, bar).await?;

    bar.set_message(format!("{} was restarted and catches up", b.name));
    let back = Instant::now();
    b.start().await?;
    outage::converge(a, b, bar).await?;
    let took = back.elapsed();
    let delivery = delivery.end(a, b).await?;
    let daemons = [&*a, &*b]
        .map(|machine| Daemon {
            name: machine.name,
            state_dir: None,
            resident_bytes: machine.resident_bytes(),
        })
        .into();
    bar.set_message("comparing both logs");
    let events = outage::compare(a, b, &acknowledged).await?;

    let catch_up_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    Ok(Report {
        messages,
        delivery,
        outage_events: u64::from(args.events),
        catch_up_ms,
        catch_up_events_per_second: u64::from(args.events) * 1000 / catch_up_ms,
        events_in_both_logs: events,
        daemons,
        took_ms: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn show(report: &Report, context: &mut Context<'_>) -> Result<(), Error> {
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(report);
    }
    printer.lines(&report.lines())?;
    printer.line("")?;
    printer.line(&styled(GREEN, "Every event is exactly once in both logs."))?;
    for daemon in &report.daemons {
        if let Some(state_dir) = &daemon.state_dir {
            printer.line(&format!("export THRUM_STATE_DIR={state_dir}   # {}", daemon.name))?;
        }
    }
    Ok(())
}

fn show_logs(machines: &[&Machine], context: &mut Context<'_>) {
    for machine in machines {
        let log = machine.log();
        context.printer.note(&format!("--- the end of {}", log.display()));
        for line in tail(&log, LOG_LINES) {
            context.printer.note(&line);
        }
    }
}
