use std::path::PathBuf;

use clap::Args;

/// Arguments of `thrum metrics`.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// Write them to this file instead, for the textfile collector of node_exporter. Its name ends in .prom
    #[arg(long, value_name = "PATH")]
    pub textfile: Option<PathBuf>,
}
