use clap::{Args, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use crate::candidates;

/// `thrum peer ...`
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// Show a code and wait for the other machine
    #[command(before_help = "Examples:\n  \
        thrum peer add               Ctrl-C ends it at once")]
    Add,
    /// Pair with the machine that shows a code
    #[command(before_help = "Examples:\n  \
        thrum peer join my-laptop:9100\n  \
        thrum peer join 100.64.0.7   port 9100 if none is given\n  \
        thrum peer join my-laptop < code.txt")]
    Join(JoinArgs),
    /// The paired machines, and whether somebody is pairing
    #[command(before_help = "Examples:\n  \
        thrum peer list\n  \
        thrum peer list -q           names only")]
    List,
    /// Forget a machine and tell it
    #[command(before_help = "Examples:\n  \
        thrum peer remove office-server\n  \
        thrum peer remove office-server --dry-run")]
    Remove(RemoveArgs),
    /// How it stands with each
    #[command(before_help = "Examples:\n  \
        thrum peer status\n  \
        thrum peer status office-server      all about one")]
    Status(PeerStatusArgs),
    /// Let the tailnet's policy stand in for the code, or say whether it may
    #[command(before_help = "Examples:\n  \
        thrum peer policy            is it on?\n  \
        thrum peer policy on         machines with the grant thrum.dev/cap/pair need no code\n  \
        thrum peer policy on --capability example.com/cap/thrum\n  \
        thrum peer policy off        and who was paired that way is removed")]
    Policy(PolicyArgs),
    /// Exchange news now, without waiting for a back-off
    #[command(before_help = "Examples:\n  \
        thrum peer sync\n  \
        thrum peer sync office-server")]
    Sync(SyncArgs),
}

/// Words of `thrum peer join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Name or address of the other machine, with or without port. The code is asked for, or read
    /// from the first line of stdin
    #[arg(value_name = "HOST[:PORT]")]
    pub address: String,
}

/// Words of `thrum peer remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Its name or daemon id
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::peers))]
    pub peer: String,
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
    /// Only say what would happen
    #[arg(long)]
    pub dry_run: bool,
}

/// Words of `thrum peer status`.
#[derive(Debug, Args)]
pub struct PeerStatusArgs {
    /// Name or daemon id of one of them
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::peers))]
    pub peer: Option<String>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// From now on.
    On,
    /// No more.
    Off,
}

/// Words of `thrum peer policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// on or off; without it nothing is changed
    #[arg(value_name = "on|off", value_enum, hide_possible_values = true)]
    pub switch: Option<Switch>,
    /// The application capability that the tailnet's policy grants to whom may pair
    #[arg(long, value_name = "NAME")]
    pub capability: Option<String>,
}

/// Words of `thrum peer sync`.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// Name or daemon id of one of them
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::peers))]
    pub peer: Option<String>,
}
