use clap::Args;

use crate::setup::Tool;

/// Options of `thrum mcp`.
#[derive(Debug, Args)]
pub struct McpArgs {
    /// The tool that starts it, by its name for `thrum init` [default: what the tool says of itself]
    #[arg(long, value_name = "TOOL", value_enum, hide_possible_values = true)]
    pub tool: Option<Tool>,
}
