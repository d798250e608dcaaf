//! `thrum`: the client of `thrumd` for people, scripts and agents.

// The stack of every command has room for the largest future of all of them, and each page of it is touched. That is a
// good part of what a short command costs.
#![warn(clippy::large_futures)]

mod by_agent;
mod candidates;
mod cli;
mod client;
mod clock;
mod command;
mod commands;
mod complete;
mod context;
mod daemon_process;
mod demo;
mod doctor;
mod endpoint;
mod error;
mod format;
mod hook;
mod interrupt;
mod log_file;
mod manager;
mod mcp;
mod message_ids;
mod outer_agent;
mod printer;
mod process;
mod project;
mod render;
mod setup;
mod since;
mod terminal;
mod tool_process;
mod ui;
mod wake_text;

use std::process::ExitCode;

use crate::context::Context;
use crate::error::Error;
use crate::printer::Printer;

/// The first descriptor after stdin, stdout and stderr.
const FIRST_INHERITED: i32 = 3;

fn main() -> ExitCode {
    // What the caller has open (its locks, its pipes) is not for the programs that this one starts. A daemon
    // would hold it for good.
    close_fds::set_fds_cloexec(FIRST_INHERITED, &[]);
    let arguments: Vec<_> = std::env::args_os().collect();
    if complete::answered(&arguments) {
        return ExitCode::SUCCESS;
    }
    if let Some(asked) = hook::asked(&arguments) {
        hook::run(asked);
        return ExitCode::SUCCESS;
    }
    let early = cli::early_options(&arguments);
    let cli = match cli::parse(&arguments, early.color) {
        Ok(cli) => cli,
        Err(help) if help.exit_code() == 0 => return Printer::new(early).help(&help.render()),
        Err(error) => {
            let text = error.render();
            let (message, hint) = cli::message_and_hint(error.kind(), &text.to_string());
            return Printer::new(early).usage_error(&text, message, hint);
        }
    };
    let mut printer = Printer::new(cli.global.output());
    let result = run(cli, &mut printer);
    printer.finish(result)
}

fn run(cli: cli::Cli, printer: &mut Printer) -> Result<ExitCode, Error> {
    // One thread, because starting more would cost more than a call.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::io("can't start the I/O loop", source))?;
    // A thread may read a stdin that never ends.
    let leaves_threads = matches!(cli.command, Some(cli::Command::Mcp(_)));
    let result =
        runtime.block_on(commands::run(cli.command, &mut Context::new(cli.global, printer)));
    if leaves_threads {
        runtime.shutdown_background();
    }
    result
}
