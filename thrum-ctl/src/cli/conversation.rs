use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use thrum_api::Sequence;

use super::messages::SessionOption;
use crate::candidates;
use crate::since::{Since, since_argument};

/// Arguments of `thrum thread`.
#[derive(Debug, Args)]
pub struct ThreadArgs {
    /// Any message of the conversation: its id, or the end of it as it is shown
    #[arg(value_name = "ID", add = ArgValueCandidates::new(candidates::messages))]
    pub message: String,
    /// Maximum number of messages
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Only messages after this position in the log
    #[arg(long, value_name = "SEQUENCE", value_parser = sequence)]
    pub after: Option<Sequence>,
    /// Don't mark messages as read
    #[arg(long)]
    pub peek: bool,
    /// Who reads.
    #[command(flatten)]
    pub session: SessionOption,
}

/// Arguments of `thrum show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The message: its id, or the end of it as it is shown
    #[arg(value_name = "ID", add = ArgValueCandidates::new(candidates::messages))]
    pub message: String,
    /// Don't mark it as read
    #[arg(long)]
    pub peek: bool,
    /// Who reads.
    #[command(flatten)]
    pub session: SessionOption,
}

/// Arguments of `thrum read`.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// The messages: their ids, or the ends of them as they are shown
    #[arg(value_name = "ID", required = true, add = ArgValueCandidates::new(candidates::messages))]
    pub messages: Vec<String>,
    /// Who reads.
    #[command(flatten)]
    pub session: SessionOption,
}

/// Arguments of `thrum delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The message: its id, or the end of it as it is shown
    #[arg(value_name = "ID", add = ArgValueCandidates::new(candidates::messages))]
    pub message: String,
}

/// Arguments of `thrum sent`.
#[derive(Debug, Args)]
pub struct SentArgs {
    /// Only this message, with every recipient: its id, or the end of it as it is shown
    #[arg(value_name = "ID", add = ArgValueCandidates::new(candidates::messages))]
    pub message: Option<String>,
    /// Maximum number of messages
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Only messages before this position in the log: the next page
    #[arg(long, value_name = "SEQUENCE", value_parser = sequence)]
    pub before: Option<Sequence>,
}

/// Arguments of `thrum search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to look for: all of these words. Text between double quotes is a phrase, a `*` at the end of a word
    /// stands for any end
    #[arg(value_name = "WORD", required = true)]
    pub words: Vec<String>,
    /// Only messages of this agent: NAME, or NAME@MACHINE
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(candidates::addresses))]
    pub from: Option<String>,
    /// Only messages that were sent since: 2h, or 2026-11-30, or 2026-11-30T14:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since_argument)]
    pub since: Option<Since>,
    /// Messages of every project
    #[arg(long)]
    pub all_projects: bool,
    /// Maximum number of messages
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Only messages before this position in the log: the next page
    #[arg(long, value_name = "SEQUENCE", value_parser = sequence)]
    pub before: Option<Sequence>,
}

fn sequence(text: &str) -> Result<Sequence, String> {
    text.parse().map(Sequence).map_err(|_| format!("{text:?} is no position in the log"))
}
