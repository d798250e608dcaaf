use clap::{Args, Subcommand};

/// `thrum daemon ...`
#[derive(Debug, Subcommand)]
pub enum DaemonCommand {
    /// Start it; returns when it answers, or with the error it died of
    #[command(before_help = "Examples:\n  \
        thrum daemon start\n  \
        THRUM_STATE_DIR=/tmp/other thrum daemon start    a second one")]
    Start,
    /// Stop it; what was queued is written first
    #[command(before_help = "Examples:\n  thrum daemon stop")]
    Stop,
    /// Stop it and start it again
    #[command(before_help = "Examples:\n  thrum daemon restart")]
    Restart,
    /// Whether it runs; exit code 3 if not
    #[command(before_help = "Examples:\n  thrum daemon status --json")]
    Status,
    /// What it wrote to its log
    #[command(before_help = "Examples:\n  \
        thrum daemon logs -n 50\n  \
        thrum daemon logs -f         and what comes")]
    Logs(LogsArgs),
    /// Make it a service of systemd or launchd: of this user, as root of the whole machine
    #[command(before_help = "Examples:\n  \
        thrum daemon install                show what is written, ask, and do it\n  \
        sudo thrum daemon install --yes     for the whole machine\n  \
        thrum daemon install --dry-run      only show it")]
    Install(InstallArgs),
    /// Undo what install did; the state stays
    #[command(before_help = "Examples:\n  thrum daemon uninstall")]
    Uninstall(InstallArgs),
    /// Make a copied state directory a daemon of its own: new id, no peers
    #[command(before_help = "Examples:\n  \
        thrum daemon reset-identity --dry-run\n  \
        thrum daemon reset-identity --yes")]
    ResetIdentity(ResetArgs),
}

/// Options of `thrum daemon logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the last lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub lines: usize,
}

/// Options of `thrum daemon install` and `uninstall`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `thrum daemon reset-identity`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
    /// Only say what would happen
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `thrum status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print nothing; exit code 6 if there is a problem
    #[arg(long, conflicts_with = "watch")]
    pub check: bool,
    /// Draw it again every 2 seconds; without a terminal an object a line
    #[arg(long)]
    pub watch: bool,
}

/// Options of `thrum doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print what may be shown to strangers: versions, checks and counts alone
    #[arg(long)]
    pub report: bool,
}

/// Options of `thrum demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Leave both daemons running and print how to talk to each
    #[arg(long)]
    pub keep: bool,
    /// Events that are written while one daemon is dead
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub events: u32,
    /// Messages that are sent each way
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub messages: u32,
}
