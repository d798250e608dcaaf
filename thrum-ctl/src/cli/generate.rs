use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// `thrum generate ...`
#[derive(Debug, Subcommand)]
pub enum GenerateCommand {
    /// Write thrum(1) and a page for each command into DIR/man1
    Man {
        /// The folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Print the completion script for a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL", value_enum)]
        shell: Shell,
    },
}

/// A shell with a completion script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// fish.
    Fish,
    /// Z shell.
    Zsh,
}
