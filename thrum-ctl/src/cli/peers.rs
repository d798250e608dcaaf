use clap::{Args, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use super::daemon::ConfirmArgs;
use crate::candidates;

/// `thrum peer ...`
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// Show a code and wait for the other machine
    #[command(before_help = "Examples:\n  \
        thrum peer add               Ctrl-C cancels it")]
    Add,
    /// Pair with a machine that shows a code
    #[command(before_help = "Examples:\n  \
        thrum peer join my-laptop:9100\n  \
        thrum peer join 100.64.0.7   the default port is 9100\n  \
        thrum peer join my-laptop < code.txt")]
    Join(JoinArgs),
    /// List the paired machines and an open pairing session
    #[command(before_help = "Examples:\n  \
        thrum peer list\n  \
        thrum peer list -q           names only")]
    List,
    /// Remove a peer and tell it
    #[command(before_help = "Examples:\n  \
        thrum peer remove office-server\n  \
        thrum peer remove office-server --dry-run")]
    Remove(RemoveArgs),
    /// Show the sync state of the peers
    #[command(before_help = "Examples:\n  \
        thrum peer status\n  \
        thrum peer status office-server      every detail of one peer")]
    Status(PeerStatusArgs),
    /// Show or change whether the tailnet's policy replaces the pairing code
    #[command(before_help = "Examples:\n  \
        thrum peer policy            show whether it is on\n  \
        thrum peer policy on         machines with the grant thrum.dev/cap/pair need no code\n  \
        thrum peer policy on --capability example.com/cap/thrum\n  \
        thrum peer policy off        peers that were paired by policy are removed")]
    Policy(PolicyArgs),
    /// Sync now, without waiting for the back-off
    #[command(before_help = "Examples:\n  \
        thrum peer sync\n  \
        thrum peer sync office-server")]
    Sync(SyncArgs),
}

/// Arguments of `thrum peer join`.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Name or address of the other machine, with or without a port. The command asks for the code, or
    /// reads it from the first line of stdin
    #[arg(value_name = "HOST[:PORT]")]
    pub address: String,
}

/// Arguments of `thrum peer remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Name or daemon id of the peer
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::peers))]
    pub peer: String,
    /// Whether to ask.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// Arguments of `thrum peer status`.
#[derive(Debug, Args)]
pub struct PeerStatusArgs {
    /// Name or daemon id of a peer [default: all]
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::peers))]
    pub peer: Option<String>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Arguments of `thrum peer policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// on or off [default: only show the setting]
    #[arg(value_name = "on|off", value_enum, hide_possible_values = true)]
    pub switch: Option<Switch>,
    /// Application capability that the tailnet's policy grants to machines that may pair
    #[arg(long, value_name = "NAME")]
    pub capability: Option<String>,
}

/// Arguments of `thrum peer sync`.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// Name or daemon id of a peer [default: all]
    #[arg(value_name = "NAME", add = ArgValueCandidates::new(candidates::peers))]
    pub peer: Option<String>,
}
