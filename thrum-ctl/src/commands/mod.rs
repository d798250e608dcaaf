//! The implementations of the commands.

mod agents;
mod backup;
mod daemon;
mod doctor;
mod events;
mod generate;
mod help;
mod inbox;
mod install;
mod logs;
mod pair;
mod peers;
mod policy;
mod quarantine;
mod read_marks;
mod reconnect;
mod reset;
mod restore;
mod send;
mod start;
mod status;
mod stop;
mod wait;

use std::process::ExitCode;

use crate::cli::{Command, DaemonCommand, PeerCommand};
use crate::context::Context;
use crate::demo;
use crate::error::Error;
use crate::interrupt::or_interrupted;
use crate::printer::while_read;

/// Runs a command and returns the exit code of the process.
///
/// # Errors
/// When the command fails.
pub async fn run(command: Option<Command>, context: &mut Context<'_>) -> Result<ExitCode, Error> {
    match command {
        None => help::run(&[], context)?,
        Some(Command::Help { words }) => help::run(&words, context)?,
        Some(Command::Status(args)) => {
            return or_interrupted(while_read(status::run(&args, context))).await;
        }
        Some(Command::Doctor(args)) => return or_interrupted(doctor::run(&args, context)).await,
        Some(Command::Send(args)) => send::run(args, context).await?,
        Some(Command::Inbox(args)) => inbox::run(&args, context).await?,
        Some(Command::Wait(args)) => or_interrupted(while_read(wait::run(&args, context))).await?,
        Some(Command::Agents(args)) => agents::run(&args, context).await?,
        Some(Command::Events(args)) => {
            or_interrupted(while_read(events::run(&args, context))).await?
        }
        Some(Command::Quarantine(args)) => or_interrupted(quarantine::run(&args, context)).await?,
        Some(Command::Backup(args)) => or_interrupted(backup::run(&args, context)).await?,
        Some(Command::Restore(args)) => or_interrupted(restore::run(&args, context)).await?,
        Some(Command::Demo(args)) => return demo::run(&args, context).await,
        Some(Command::Generate(command)) => generate::run(&command, context)?,
        Some(Command::Peer(command)) => match command {
            PeerCommand::Add => pair::add(context).await?,
            PeerCommand::Join(args) => or_interrupted(pair::join(&args, context)).await?,
            PeerCommand::List => peers::list(context).await?,
            PeerCommand::Remove(args) => or_interrupted(peers::remove(&args, context)).await?,
            PeerCommand::Status(args) => peers::status(&args, context).await?,
            PeerCommand::Policy(args) => policy::run(args, context).await?,
            PeerCommand::Sync(args) => peers::sync(args, context).await?,
        },
        Some(Command::Daemon(command)) => match command {
            DaemonCommand::Start => or_interrupted(start::run(context)).await?,
            DaemonCommand::Stop => or_interrupted(stop::run(context)).await?,
            DaemonCommand::Restart => or_interrupted(stop::restart(context)).await?,
            DaemonCommand::Status => daemon::run(context).await?,
            DaemonCommand::Logs(args) => {
                or_interrupted(while_read(logs::run(&args, context))).await?
            }
            DaemonCommand::Install(args) => {
                or_interrupted(install::install(&args, context)).await?
            }
            DaemonCommand::Uninstall(args) => {
                or_interrupted(install::uninstall(&args, context)).await?
            }
            DaemonCommand::ResetIdentity(args) => {
                or_interrupted(reset::run(&args, context)).await?
            }
        },
    }
    Ok(ExitCode::SUCCESS)
}
