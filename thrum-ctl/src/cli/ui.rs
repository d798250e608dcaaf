use std::time::Duration;

use clap::Args;

use crate::format::duration_argument;

/// Options of `thrum ui`.
#[derive(Debug, Args)]
pub struct UiArgs {
    /// The port of 127.0.0.1 on which the page is [default: a free one]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Print the address and open no browser
    #[arg(long)]
    pub no_open: bool,
    /// End after this time without an open page; 0 for never
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration_argument)]
    pub idle: Duration,
}
