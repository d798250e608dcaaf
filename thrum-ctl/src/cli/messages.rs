use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use thrum_api::EventId;

use crate::candidates;
use crate::format::duration_argument;
use crate::since::{Since, since_argument};

/// Arguments of `thrum send`.
#[derive(Debug, Args)]
#[command(override_usage = "thrum send [OPTIONS] [NAME]... MESSAGE")]
pub struct SendArgs {
    /// Recipients, then the message; `-` reads the message from stdin. A recipient is NAME (on every machine that
    /// has an agent of this name), NAME@MACHINE, or @GROUP
    #[arg(value_name = "NAME... MESSAGE", required = true, add = ArgValueCandidates::new(candidates::addresses))]
    pub words: Vec<String>,
    /// A recipient; can be repeated
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(candidates::addresses))]
    pub to: Vec<String>,
    /// Everyone in the project
    #[arg(long, conflicts_with = "to")]
    pub all: bool,
    /// Send it although nobody has seen the name and a similar one is known
    #[arg(long)]
    pub anyway: bool,
    /// How to send it.
    #[command(flatten)]
    pub writing: WritingArgs,
}

/// Arguments of `thrum reply`.
#[derive(Debug, Args)]
pub struct ReplyArgs {
    /// The message to answer: its id, or the end of it as it is shown
    #[arg(value_name = "ID", add = ArgValueCandidates::new(candidates::messages))]
    pub message: String,
    /// The answer; `-` reads it from stdin
    #[arg(value_name = "MESSAGE")]
    pub text: String,
    /// How to send it.
    #[command(flatten)]
    pub writing: WritingArgs,
}

/// Options of commands that send a message.
#[derive(Debug, Default, Args)]
pub struct WritingArgs {
    /// Ask to be read soon
    #[arg(long)]
    pub urgent: bool,
    /// Wait for the answer, print it and mark it as read: 30s, 10m, 1h; exit code 5 if none came
    #[arg(long, value_name = "DURATION", value_parser = duration_argument)]
    pub wait_reply: Option<Duration>,
    /// The id of the message, a ULID: repeating the command with the same id does not send it twice
    /// [default: a new one]
    #[arg(long, value_name = "ID")]
    pub id: Option<EventId>,
}

/// The session that messages are shown to.
#[derive(Debug, Default, Args)]
pub struct SessionOption {
    /// The session that reads: its sender is told
    #[arg(
        long,
        value_name = "ID",
        env = "THRUM_SESSION",
        hide_env_values = true,
        add = ArgValueCandidates::new(candidates::sessions)
    )]
    session: Option<String>,
}

impl SessionOption {
    /// The id of the session. An empty variable counts as absent.
    pub fn id(&self) -> Option<String> {
        self.session.clone().filter(|id| !id.is_empty())
    }
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
    /// Only messages of this agent: NAME, or NAME@MACHINE
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(candidates::addresses))]
    pub from: Option<String>,
    /// Only messages that were sent since: 2h, or 2026-11-30, or 2026-11-30T14:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since_argument)]
    pub since: Option<Since>,
    /// Only messages of the conversation that this message belongs to
    #[arg(long, value_name = "ID", add = ArgValueCandidates::new(candidates::messages))]
    pub thread: Option<String>,
    /// Messages for your name in every project
    #[arg(long)]
    pub all_projects: bool,
    /// Print only the number of unread messages
    #[arg(long, conflicts_with_all = ["unread", "read", "limit", "from", "since", "thread"])]
    pub count: bool,
    /// Don't mark messages as read
    #[arg(long)]
    pub peek: bool,
    /// Keep showing them, redrawn when one comes; marks none as read
    #[arg(long, conflicts_with = "count")]
    pub watch: bool,
    /// Who reads.
    #[command(flatten)]
    pub session: SessionOption,
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
    /// Only messages of this agent: NAME, or NAME@MACHINE
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(candidates::addresses))]
    pub from: Option<String>,
    /// Only messages of the conversation that this message belongs to
    #[arg(long, value_name = "ID", add = ArgValueCandidates::new(candidates::messages))]
    pub thread: Option<String>,
    /// Messages that match --from or --thread, not both
    #[arg(long, requires = "from", requires = "thread")]
    pub any: bool,
    /// Take the messages: no other `wait --claim` of this name on this machine gets them
    #[arg(long)]
    pub claim: bool,
    /// Messages for your name in every project
    #[arg(long)]
    pub all_projects: bool,
    /// Who waits.
    #[command(flatten)]
    pub session: SessionOption,
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
