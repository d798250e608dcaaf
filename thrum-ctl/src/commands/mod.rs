//! The implementations of the commands.

mod agent;
mod backup;
mod daemon;
mod delete;
mod doctor;
mod events;
mod find;
mod generate;
mod group;
mod help;
mod inbox;
mod init;
mod init_list;
mod init_undo;
mod install;
mod logs;
mod metrics;
mod pair;
mod peers;
mod policy;
mod prime;
mod quarantine;
mod read;
mod read_marks;
mod reconnect;
mod reply;
mod reset;
mod restore;
mod search;
mod send;
mod sent;
mod session;
mod show;
mod socket;
mod start;
mod status;
mod stop;
mod team;
mod thread;
mod wait;
mod waiting;
mod wake;
mod watching;
mod whoami;
mod writing;

use std::process::ExitCode;

use crate::cli::{
    AgentCommand, Command, DaemonCommand, GroupCommand, PeerCommand, SessionCommand, SocketCommand,
};
use crate::context::Context;
use crate::demo;
use crate::error::Error;
use crate::interrupt::or_interrupted;
use crate::mcp;
use crate::printer::while_read;
use crate::ui;

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
        Some(Command::Reply(args)) => reply::run(args, context).await?,
        Some(Command::Thread(args)) => thread::run(&args, context).await?,
        Some(Command::Show(args)) => show::run(&args, context).await?,
        Some(Command::Read(args)) => read::run(&args, context).await?,
        Some(Command::Delete(args)) => delete::run(&args, context).await?,
        Some(Command::Sent(args)) => sent::run(&args, context).await?,
        Some(Command::Search(args)) => search::run(&args, context).await?,
        Some(Command::Team(args)) => team::run(&args, context).await?,
        Some(Command::Ui(args)) => return Box::pin(ui::run(&args, context)).await,
        Some(Command::Init(args)) => or_interrupted(init::run(&args, context)).await?,
        Some(Command::Whoami) => whoami::run(context).await?,
        Some(Command::Agent(command)) => match command {
            AgentCommand::Register(args) => agent::register(args, context).await?,
            AgentCommand::Remove { name } => agent::remove(&name, context).await?,
        },
        Some(Command::Session(command)) => match command {
            SessionCommand::Start(args) => session::start(args, context).await?,
            SessionCommand::Update(args) => session::update(args, context).await?,
            SessionCommand::End(args) => session::end(args, context).await?,
        },
        Some(Command::Prime(args)) => prime::run(&args, context).await?,
        Some(Command::Wake(command)) => wake::run(&command, context).await?,
        // It never comes here: it was answered without the parser.
        Some(Command::Hook(_)) => {}
        Some(Command::Group(command)) => match command {
            GroupCommand::Add(args) => group::change(&args, false, context).await?,
            GroupCommand::Remove(args) => group::change(&args, true, context).await?,
            GroupCommand::List { group } => group::list(group, context).await?,
        },
        Some(Command::Socket(command)) => match command {
            SocketCommand::Add { path } => socket::add(path, context).await?,
            SocketCommand::List => socket::list(context).await?,
            SocketCommand::Remove { path } => socket::remove(&path, context).await?,
        },
        Some(Command::Mcp(args)) => mcp::run(args.tool, context).await?,
        Some(Command::Events(args)) => {
            or_interrupted(while_read(events::run(&args, context))).await?
        }
        Some(Command::Quarantine(args)) => or_interrupted(quarantine::run(&args, context)).await?,
        Some(Command::Metrics(args)) => or_interrupted(metrics::run(&args, context)).await?,
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
