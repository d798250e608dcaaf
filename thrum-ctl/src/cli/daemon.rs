use clap::{Args, Subcommand};

/// `thrum daemon ...`
#[derive(Debug, Subcommand)]
pub enum DaemonCommand {
    /// Start thrumd and wait until it answers
    #[command(before_help = "Examples:\n  \
        thrum daemon start\n  \
        THRUM_STATE_DIR=/tmp/other thrum daemon start    start a second daemon")]
    Start,
    /// Stop thrumd; queued events are written first
    #[command(before_help = "Examples:\n  thrum daemon stop")]
    Stop,
    /// Stop thrumd and start it again
    #[command(before_help = "Examples:\n  thrum daemon restart")]
    Restart,
    /// Show whether thrumd is running; exit code 3 if not
    #[command(before_help = "Examples:\n  thrum daemon status --json")]
    Status,
    /// Print the log of thrumd
    #[command(before_help = "Examples:\n  \
        thrum daemon logs -n 50\n  \
        thrum daemon logs -f         keep printing new lines")]
    Logs(LogsArgs),
    /// Install thrumd as a systemd or launchd service: for this user, or as root for the whole machine
    #[command(before_help = "Examples:\n  \
        thrum daemon install                show the changes, ask, and make them\n  \
        sudo thrum daemon install --yes     for the whole machine\n  \
        thrum daemon install --dry-run      only show the changes")]
    Install(ConfirmArgs),
    /// Undo the installation; the state is kept
    #[command(before_help = "Examples:\n  thrum daemon uninstall")]
    Uninstall(ConfirmArgs),
    /// Give a copied state directory a new daemon id and remove its peers
    #[command(before_help = "Examples:\n  \
        thrum daemon reset-identity --dry-run\n  \
        thrum daemon reset-identity --yes")]
    ResetIdentity(ConfirmArgs),
}

/// Options of `thrum daemon logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Keep printing new lines
    #[arg(short, long)]
    pub follow: bool,
    /// Number of last lines to print
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub lines: usize,
}

/// Options of a command that asks for confirmation.
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
    /// Only show what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `thrum status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print nothing; exit with code 6 if there is a problem
    #[arg(long, conflicts_with = "watch")]
    pub check: bool,
    /// Refresh every 2 seconds; if stdout is not a terminal, print one JSON object per line
    #[arg(long)]
    pub watch: bool,
}

/// Options of `thrum doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print only what is safe to publish: versions, checks and counts
    #[arg(long)]
    pub report: bool,
}

/// Options of `thrum demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave both daemons running and print how to use each
    #[arg(long)]
    pub keep: bool,
    /// Number of events to write while one daemon is dead
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub events: u32,
    /// Number of messages to send each way
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub messages: u32,
}
