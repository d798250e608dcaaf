use clap::Args;

use crate::setup::Tool;

/// Options of `thrum mcp`.
#[derive(Debug, Args)]
pub struct McpArgs {
    /// The tool that starts it [default: what the tool says of itself]
    #[arg(long, value_name = "TOOL", value_enum)]
    pub tool: Option<Tool>,
}
