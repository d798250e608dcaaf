//! Shell completion of the command line.

use std::ffi::OsString;

use clap_complete::env::CompleteEnv;

use crate::cli;

/// The variable with which a completion script asks for completions.
pub const VARIABLE: &str = "COMPLETE";

/// Answers a completion request, if this is one. Prints no errors, because they would appear in the
/// line that is being typed.
pub fn answered(arguments: &[OsString]) -> bool {
    let wanted = std::env::var_os(VARIABLE);
    if wanted.is_none_or(|shell| shell.is_empty() || shell == "0") {
        return false;
    }
    // Scripts put `--` before the line to complete; without a line they ask for the script itself.
    // Otherwise the variable has another purpose.
    if arguments.get(1).is_some_and(|word| word != "--") {
        return false;
    }
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(cli::command)
        .bin("thrum")
        .try_complete(arguments.iter().cloned(), folder.as_deref())
        .unwrap_or(arguments.len() > 1)
}
