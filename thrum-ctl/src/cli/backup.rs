use std::path::PathBuf;

use clap::Args;

use super::ConfirmArgs;

/// Arguments of `thrum backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; `-` for stdout. It holds the daemon's secret key and the peers' tokens, so only its
    /// owner can read it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Replace the file if there is one
    #[arg(short, long)]
    pub force: bool,
}

/// Arguments of `thrum restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A file that `thrum backup` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How to confirm.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}
