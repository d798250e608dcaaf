use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use super::Notice;
use crate::format::{count, counted};

/// How far the views of the daemon are, on stderr: a bar on a terminal, otherwise one line. It needs no printer,
/// because the printer may be borrowed while a call waits.
#[derive(Debug, Clone)]
pub struct ViewsProgress {
    notice: Notice,
    on_terminal: bool,
}

/// The progress during one call. The bar goes when this is dropped.
pub struct ShownProgress<'a> {
    progress: &'a ViewsProgress,
    bar: Option<ProgressBar>,
}

impl ViewsProgress {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        let wanted = !json && !quiet && std::env::var_os("THRUM_NO_PROGRESS").is_none();
        Self { notice: Notice::new(json, quiet), on_terminal: wanted && io::stderr().is_terminal() }
    }

    /// Nothing is shown yet.
    pub fn begin(&self) -> ShownProgress<'_> {
        ShownProgress { progress: self, bar: None }
    }
}

impl ShownProgress<'_> {
    /// Shows it. Answers whether later progress would be shown too.
    pub fn show(&mut self, read: u64, head: u64) -> bool {
        let how_far = format!("thrumd has indexed {} of {}", count(read), counted(head, "event"));
        if !self.progress.on_terminal {
            let message = format!("waiting for messages: {how_far}");
            self.progress.notice.give("views", &message, "see how far: thrum status");
            return false;
        }
        let bar = self.bar.get_or_insert_with(|| {
            ProgressBar::with_draw_target(Some(head), ProgressDrawTarget::stderr())
                .with_style(bar_style())
                .with_finish(ProgressFinish::AndClear)
        });
        bar.set_message(how_far);
        bar.set_position(read);
        true
    }
}

/// How a progress bar looks.
pub(super) fn bar_style() -> ProgressStyle {
    let style = ProgressStyle::with_template("{bar:32} {percent:>3}% {msg}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}
