use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use thrum_api::EventId;

use crate::candidates;
use crate::format::duration_argument;

/// Arguments of `thrum send`.
#[derive(Debug, Args)]
#[command(override_usage = "thrum send [OPTIONS] [NAME]... MESSAGE")]
pub struct SendArgs {
    /// Recipients, with or without @, then the message; `-` reads the message from stdin
    #[arg(value_name = "NAME... MESSAGE", required = true, add = ArgValueCandidates::new(candidates::agents))]
    pub words: Vec<String>,
    /// A recipient; can be repeated
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(candidates::agents))]
    pub to: Vec<String>,
    /// Everyone in the project
    #[arg(long, conflicts_with = "to")]
    pub all: bool,
    /// The id of the message, a ULID: repeating the command with the same id does not send it twice
    /// [default: a new one]
    #[arg(long, value_name = "ID")]
    pub id: Option<EventId>,
}

/// Options of `thrum inbox`.
#[derive(Debug, Args)]
pub struct InboxArgs {
    /// Only unread messages
    #[arg(long)]
    pub unread: bool,
    /// Only read messages: the last ones
    #[arg(long, conflicts_with = "unread")]
    pub read: bool,
    /// Maximum number of messages
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Messages for your name in every project
    #[arg(long)]
    pub all_projects: bool,
    /// Print only the number of unread messages
    #[arg(long, conflicts_with_all = ["unread", "read", "limit"])]
    pub count: bool,
    /// Don't mark messages as read
    #[arg(long)]
    pub peek: bool,
}

/// Options of `thrum wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Stop waiting after this time: 30s, 10m, 1h [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration_argument)]
    pub timeout: Option<Duration>,
    /// Maximum number of messages in one answer
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Keep waiting after the first messages
    #[arg(short, long)]
    pub follow: bool,
    /// Messages for your name in every project
    #[arg(long)]
    pub all_projects: bool,
}

/// Options of `thrum agents`.
#[derive(Debug, Args)]
pub struct AgentsArgs {
    /// Agents of every project
    #[arg(long)]
    pub all_projects: bool,
    /// Also agents not seen for 30 days, and those of daemons that no longer exist: their machine was set up anew
    /// and paired again
    #[arg(long)]
    pub all: bool,
}

/// Options of `thrum events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Keep printing new events
    #[arg(short, long)]
    pub follow: bool,
    /// Only events of this type, such as message.sent
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Maximum number of events: without --after the last ones [default: 20, with --follow 10]; with --after
    /// the first ones [default: all], and --follow ends after them
    #[arg(short = 'n', long, value_name = "N")]
    pub limit: Option<u64>,
    /// Only events after this position in the log; 0 for all
    #[arg(long, value_name = "SEQUENCE")]
    pub after: Option<u64>,
}
