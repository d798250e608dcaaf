//! `thrum`: the client of `thrumd` for people, scripts and agents.

mod cli;
mod client;
mod clock;
mod commands;
mod complete;
mod context;
mod demo;
mod doctor;
mod endpoint;
mod error;
mod format;
mod manager;
mod printer;
mod project;
mod render;
mod terminal;

use std::process::ExitCode;

use crate::cli::EarlyOptions;
use crate::context::Context;
use crate::error::Error;
use crate::printer::Printer;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // A shell asks how a word can go on.
    if complete::answered(&arguments) {
        return ExitCode::SUCCESS;
    }
    let early = EarlyOptions::scan(&arguments);
    let cli = match cli::parse(&arguments, early) {
        Ok(cli) => cli,
        Err(error) => return Printer::early(early).command_line(&error),
    };
    let mut printer = Printer::new(&cli.global);
    let result = run(cli, &mut printer);
    printer.finish(result)
}

fn run(cli: cli::Cli, printer: &mut Printer) -> Result<ExitCode, Error> {
    // One thread: a call is one round trip, and starting threads would cost more than the call.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::io("can't start the I/O loop", source))?;
    runtime.block_on(commands::run(cli.command, &mut Context::new(cli.global, printer)))
}
