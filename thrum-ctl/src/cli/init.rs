use clap::Args;

use super::daemon::ConfirmArgs;
use crate::setup::Tool;

/// Arguments of `thrum init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The tool: claude-code, codex, gemini, copilot, opencode, cursor, or script for one without hooks
    #[arg(
        value_name = "TOOL",
        value_enum,
        hide_possible_values = true,
        required_unless_present = "list"
    )]
    pub tool: Option<Tool>,
    /// Wake idle sessions when a message comes, without asking: messages then start turns by themselves
    #[arg(long, conflicts_with_all = ["undo", "list"])]
    pub wake: bool,
    /// For you, in every folder, instead of for this folder
    #[arg(long, conflicts_with = "list")]
    pub user: bool,
    /// Take it back: what thrum wrote, and nothing else
    #[arg(long, conflicts_with = "list")]
    pub undo: bool,
    /// Show which tools are here, which are set up, and what each asks you to confirm
    #[arg(long, conflicts_with_all = ["tool", "yes", "dry_run"])]
    pub list: bool,
    /// Whether to ask.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}
