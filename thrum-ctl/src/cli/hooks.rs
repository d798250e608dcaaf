use clap::{Args, Subcommand};

use crate::setup::Tool;

/// Arguments of `thrum hook`. They are read without this parser, which is for the help.
#[derive(Debug, Args)]
pub struct HookArgs {
    /// The tool: claude-code, codex, gemini, copilot, opencode or cursor
    #[arg(value_name = "TOOL")]
    pub tool: String,
    /// The point: session-start, prompt, step, stop, interrupt or session-end; listen, to wait for what wakes a session
    #[arg(value_name = "POINT")]
    pub point: String,
}

/// Options of `thrum prime`.
#[derive(Debug, Args)]
pub struct PrimeArgs {
    /// Tell what the agent of this tool is told: claude-code, codex, gemini, copilot, opencode, cursor or script
    #[arg(long, value_name = "TOOL", value_enum, hide_possible_values = true)]
    pub tool: Option<Tool>,
}

/// `thrum wake ...`
#[derive(Debug, Subcommand)]
pub enum WakeCommand {
    /// Wake idle sessions again
    #[command(before_help = "Examples:\n  thrum wake on\n  thrum wake on --all-projects")]
    On(WakeArgs),
    /// Don't wake idle sessions: messages wait for the next prompt
    #[command(before_help = "Examples:\n  thrum wake off\n  thrum wake off --all-projects")]
    Off(WakeArgs),
    /// Show where idle sessions are woken
    #[command(before_help = "Examples:\n  thrum wake status")]
    Status(WakeArgs),
}

/// Options of `thrum wake ...`.
#[derive(Debug, Args)]
pub struct WakeArgs {
    /// In all projects of this machine
    #[arg(long)]
    pub all_projects: bool,
}
