//! Shell completion of the command line.

use std::ffi::OsString;

use clap_complete::env::CompleteEnv;

use crate::cli;

/// The variable in which a shell's script says that it wants to complete.
pub const VARIABLE: &str = "COMPLETE";
/// Answers a shell that completes, if one asked. Never says what went wrong: that would land in the
/// middle of the line that is being typed.
pub fn answered(arguments: &[OsString]) -> bool {
    let wanted = std::env::var_os(VARIABLE);
    if wanted.is_none_or(|shell| shell.is_empty() || shell == "0") {
        return false;
    }
    // Scripts put `--` before the line that is to be completed; without a line the script is asked for.
    // Else somebody has that variable for something else, and wants the command.
    if arguments.get(1).is_some_and(|word| word != "--") {
        return false;
    }
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(cli::command)
        .bin("thrum")
        .try_complete(arguments.iter().cloned(), folder.as_deref())
        .unwrap_or(arguments.len() > 1)
}
