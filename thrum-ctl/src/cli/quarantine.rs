use clap::Args;

/// Options of `thrum quarantine`.
#[derive(Debug, Args)]
pub struct QuarantineArgs {
    /// Drop the listed events, which ends the warning about them
    #[arg(long)]
    pub clear: bool,
    /// Don't ask
    #[arg(short, long, requires = "clear")]
    pub yes: bool,
}
