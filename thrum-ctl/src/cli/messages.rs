use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::candidates;
use crate::format::duration_argument;

/// Words of `thrum send`.
#[derive(Debug, Args)]
#[command(override_usage = "thrum send [OPTIONS] [NAME]... MESSAGE")]
pub struct SendArgs {
    /// Recipients, with or without @, and last the message; `-` reads it from stdin
    #[arg(value_name = "NAME... MESSAGE", required = true, add = ArgValueCandidates::new(candidates::agents))]
    pub words: Vec<String>,
    /// A recipient; may be given again
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(candidates::agents))]
    pub to: Vec<String>,
    /// Everyone in the project
    #[arg(long, conflicts_with = "to")]
    pub all: bool,
}

/// Options of `thrum inbox`.
#[derive(Debug, Args)]
pub struct InboxArgs {
    /// Only what was not read yet
    #[arg(long)]
    pub unread: bool,
    /// At most this many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Messages for your name in every project
    #[arg(long)]
    pub all_projects: bool,
    /// Only how many are unread
    #[arg(long, conflicts_with_all = ["unread", "limit"])]
    pub count: bool,
    /// Leave them unread
    #[arg(long)]
    pub peek: bool,
}

/// Options of `thrum wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Give up when none came for this long: 30s, 10m, 1h [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration_argument)]
    pub timeout: Option<Duration>,
    /// Go on after the first one
    #[arg(short, long)]
    pub follow: bool,
    /// Messages for your name in every project
    #[arg(long)]
    pub all_projects: bool,
}

/// Options of `thrum agents`.
#[derive(Debug, Args)]
pub struct AgentsArgs {
    /// Of every project
    #[arg(long)]
    pub all_projects: bool,
}

/// Options of `thrum events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Go on with every new event
    #[arg(short, long)]
    pub follow: bool,
    /// Only of this type, such as message.sent
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// At most this many: the last ones (20, with --follow 10), with --after the first ones (all);
    /// --after with --follow ends after so many
    #[arg(short = 'n', long, value_name = "N")]
    pub limit: Option<u64>,
    /// Those after this place of the log; 0 for all
    #[arg(long, value_name = "SEQUENCE")]
    pub after: Option<u64>,
}
