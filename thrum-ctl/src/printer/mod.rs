//! All output of the client: data on stdout, the rest on stderr.

mod notice;
mod pager;
mod pages;
mod reader;
mod views_progress;
mod wrap;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use clap::builder::StyledStr;
use indicatif::ProgressBar;
use serde::Serialize;
use thrum_api::EventId;

use crate::error::{Error, Kind};
use crate::terminal::{self, printable, sanitize, sanitize_lines};

pub use notice::Notice;
pub use reader::{is_read, while_read};
pub use views_progress::ViewsProgress;
use views_progress::bar_style;

/// The style of headings.
pub const BOLD: Style = Style::new().bold();
/// The style of less important text.
pub const DIM: Style = Style::new().dimmed();
/// The style of success.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// The style of warnings.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// The style of failures.
pub const RED: Style = AnsiColor::Red.on_default().bold();

/// The version of the `--json` format. Members are added, but never renamed.
const SCHEMA: u32 = 1;

/// Time after which a note says that a command takes longer.
pub const SLOW: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Document<'a, T> {
    schema: u32,
    #[serde(flatten)]
    content: &'a T,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: FailureBody<'a>,
}

#[derive(Serialize)]
struct FailureBody<'a> {
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// With this id an unconfirmed message can be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
}

/// Text in a style. Streams without colour remove it.
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Always.
    Always,
    /// On a terminal.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// How to print, from the flags.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutputOptions {
    /// `--json`
    pub json: bool,
    /// `--color`
    pub color: Color,
    /// `--quiet`
    pub quiet: bool,
    /// `--verbose`
    pub verbose: bool,
}

/// The client's two output streams.
pub struct Printer {
    out: AutoStream<io::Stdout>,
    err: AutoStream<io::Stderr>,
    out_is_terminal: bool,
    json: bool,
    quiet: bool,
    verbose: bool,
    paged: bool,
    notice: Notice,
    views_progress: ViewsProgress,
}

impl Printer {
    /// A printer with these options.
    pub fn new(options: OutputOptions) -> Self {
        let choice = match options.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self {
            out: AutoStream::new(io::stdout(), choice),
            err: AutoStream::new(io::stderr(), choice),
            out_is_terminal: io::stdout().is_terminal(),
            json: options.json,
            quiet: options.quiet,
            verbose: options.verbose,
            paged: false,
            notice: Notice::new(options.json, options.quiet),
            views_progress: ViewsProgress::new(options.json, options.quiet),
        }
    }

    /// Whether `--json` was given.
    pub const fn json(&self) -> bool {
        self.json
    }

    /// Whether `--verbose` was given.
    pub const fn verbose(&self) -> bool {
        self.verbose
    }

    /// Whether `--quiet` was given.
    pub const fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether stdout is a terminal.
    pub const fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Prints a line of data on stdout.
    ///
    /// # Errors
    /// When it can't be written; [`Error::PipeClosed`] if the reader has closed the pipe.
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        writeln!(self.out, "{}", printable(text)).map_err(write_error)
    }

    /// Prints lines of data on stdout.
    ///
    /// # Errors
    /// As [`Printer::line`].
    pub fn lines(&mut self, lines: &[String]) -> Result<(), Error> {
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Prints a line that contains foreign text. On a terminal it is wrapped with an indent, because the
    /// rest of a line that the terminal wraps could look like another line of ours.
    ///
    /// # Errors
    /// As [`Printer::line`].
    pub fn text(&mut self, text: &str, indent: &str) -> Result<(), Error> {
        if !self.out_is_terminal {
            return self.line(text);
        }
        self.line(&wrap::wrap(text, wrap::columns(), indent))
    }

    /// Prints a JSON object with the version of its schema on one line of stdout.
    ///
    /// # Errors
    /// As [`Printer::line`].
    pub fn object<T: Serialize>(&mut self, content: &T) -> Result<(), Error> {
        let text = serde_json::to_string(&Document { schema: SCHEMA, content })
            .map_err(|error| Error::io("can't write JSON", error.into()))?;
        self.line(&terminal::json(text))
    }

    /// Checks that everything printed so far was written whole to a reader that is still there.
    ///
    /// # Errors
    /// As [`Printer::line`], and when stdout is closed.
    pub async fn delivered(&mut self) -> Result<(), Error> {
        self.out.flush().map_err(write_error)?;
        if reader::is_closed(io::stdout()) {
            return Err(Error::failed(
                "nobody can read the output: stdout is closed or thrown away",
                "write it to a file or a pipe; to mark messages without reading them: >/dev/null in a shell",
            ));
        }
        // A program that reads JSON reads the whole document; one that leaves early has broken the pipe.
        if !self.json && reader::has_left(io::stdout()).await {
            return Err(Error::PipeClosed);
        }
        Ok(())
    }

    /// Confirms a change: with an object if JSON was asked for, or else with a line, only on a terminal.
    ///
    /// # Errors
    /// As [`Printer::line`].
    pub fn done<T: Serialize>(&mut self, content: &T, text: &str) -> Result<(), Error> {
        if self.json {
            return self.object(content);
        }
        if self.out_is_terminal && !self.quiet { self.line(text) } else { Ok(()) }
    }

    /// Waits for the work, with a note if it takes longer than 2 s.
    pub async fn note_if_slow<T>(&mut self, note: &str, work: impl Future<Output = T>) -> T {
        let mut work = Box::pin(work);
        tokio::select! {
            result = &mut work => result,
            () = tokio::time::sleep(SLOW) => {
                self.note(note);
                work.await
            }
        }
    }

    /// Prints a note on stderr, except with `--quiet` or `--json`: then stderr has only errors and the
    /// [`Notice`].
    pub fn note(&mut self, text: &str) {
        if !self.quiet && !self.json {
            self.error_line(text);
        }
    }

    /// The notice about an unresponsive daemon, for calls that wait for it.
    pub fn notice(&self) -> Notice {
        self.notice.clone()
    }

    /// The progress of the daemon's views, for calls that wait for them.
    pub fn views_progress(&self) -> ViewsProgress {
        self.views_progress.clone()
    }

    /// Prints a question on stderr, without a line break.
    pub fn ask(&mut self, text: &str) {
        // If stderr is closed, reading the answer will fail.
        drop(write!(self.err, "{}", printable(text)).and_then(|()| self.err.flush()));
    }

    /// Clears the screen; a terminal that can't do that gets a blank line.
    ///
    /// # Errors
    /// As [`Printer::line`].
    pub fn clear(&mut self) -> Result<(), Error> {
        if std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
            return self.line("");
        }
        // Written to stdout directly, because the colour filter could remove it.
        write!(io::stdout(), "\u{1b}[H\u{1b}[2J").map_err(write_error)
    }

    /// A progress bar, hidden unless stdout is a terminal.
    pub fn progress(&self, total: u64) -> ProgressBar {
        let wanted = self.out_is_terminal
            && !self.json
            && !self.quiet
            && std::env::var_os("THRUM_NO_PROGRESS").is_none();
        if !wanted {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total).with_style(bar_style());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Prints a help page.
    pub fn help(&mut self, text: &StyledStr) -> ExitCode {
        let written = write!(self.out, "{}", text.ansi()).map_err(write_error);
        self.finish(written.map(|()| ExitCode::SUCCESS))
    }

    /// Prints an error in the command line: the parser's text, or message and hint as JSON.
    pub fn usage_error(
        &mut self,
        text: &StyledStr,
        message: String,
        hint: Option<String>,
    ) -> ExitCode {
        if self.json {
            self.failure(FailureBody { code: "usage", message, hint, event_id: None });
        } else {
            self.error_line(text.ansi().to_string().trim_end());
        }
        ExitCode::from(Kind::Usage.exit_code())
    }

    /// Prints the error, if there is one, and returns the exit code of the process.
    pub fn finish(&mut self, result: Result<ExitCode, Error>) -> ExitCode {
        let error = match result.and_then(|code| {
            self.out.flush().map_err(write_error)?;
            Ok(code)
        }) {
            Ok(code) => return code,
            Err(error) => error,
        };
        self.error(&error);
        ExitCode::from(error.kind().exit_code())
    }

    /// Prints an error on stderr. The program may go on.
    pub fn error(&mut self, error: &Error) {
        let kind = error.kind();
        if kind == Kind::PipeClosed || (kind == Kind::TimedOut && self.quiet) {
            return;
        }
        if self.json {
            let message = std::iter::once(error.to_string()).chain(error.causes());
            self.failure(FailureBody {
                code: &error.word(),
                message: message.collect::<Vec<_>>().join(": "),
                hint: error.hint(),
                event_id: error.event_id(),
            });
            return;
        }
        self.error_line(&render(error));
    }

    fn failure(&mut self, error: FailureBody<'_>) {
        if let Ok(text) = serde_json::to_string(&Failure { error }) {
            self.error_line(&terminal::json(text));
        }
    }

    fn error_line(&mut self, text: &str) {
        // If stderr is closed, there is nowhere to report it.
        drop(writeln!(self.err, "{}", printable(text)));
    }
}

fn write_error(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Error::PipeClosed
    } else {
        Error::io("can't write the output", error)
    }
}

/// An error for people: what, why, what next.
fn render(error: &Error) -> String {
    if matches!(error, Error::Cancelled) {
        return "Cancelled.".to_owned();
    }
    let mut text = format!("{} {}", styled(RED, "Error:"), sanitize(&error.to_string()));
    for cause in error.causes() {
        let cause = sanitize_lines(&cause, "  ");
        text.push_str(&format!("\n{} {cause}", styled(BOLD, "Caused by:")));
    }
    if let Some(hint) = error.hint() {
        let hint = sanitize_lines(&hint, "  ");
        text.push_str(&format!("\n{} {hint}", styled(GREEN, "Hint:")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_next() {
        let error = Error::Died {
            path: "/run/thrum/thrumd.sock".into(),
            hint: "see why: journalctl -u thrumd -n 50".into(),
            source: io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"),
        };
        let text = anstream::adapter::strip_str(&render(&error)).to_string();
        assert_eq!(
            text,
            "Error: thrumd has died: nothing listens on /run/thrum/thrumd.sock\n\
             Caused by: connection refused\n\
             Hint: see why: journalctl -u thrumd -n 50"
        );
    }

    #[test]
    fn an_error_from_a_peer_cannot_control_the_terminal() {
        let error = Error::failed("told: \u{1b}]0;x\u{7}", "a\nb");
        let text = anstream::adapter::strip_str(&render(&error)).to_string();
        assert_eq!(text, "Error: told: \\u{1b}]0;x\\u{7}\nHint: a\n  b");
    }
}
