//! Log lines for the journal, with fields (systemd.journal-fields(7)).

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::line::{LogLine, LogLines};

/// Where journald takes entries with fields (sd-journal's native protocol).
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// A layer that sends log lines to journald. What it can't send goes to stderr, which is the journal, too.
pub(super) struct Journal<W> {
    lines: LogLines,
    /// It never blocks. None if the system gives none.
    socket: Option<UnixDatagram>,
    path: PathBuf,
    stderr: W,
    /// Whether lines go to stderr because the process is about to end. journald finds the unit of an entry with
    /// fields by its process, so that one of a process that has just ended would be in no `journalctl -u`.
    is_ending: &'static AtomicBool,
}

impl<W: Fn(&str)> Journal<W> {
    /// Sends to the socket at `path`, which needs not be there always: a new journald binds a new one.
    pub(super) fn new(path: impl Into<PathBuf>, stderr: W, is_ending: &'static AtomicBool) -> Self {
        // A journald that takes nothing would stop every thread that has something to log.
        let socket = UnixDatagram::unbound().ok();
        let socket = socket.filter(|socket| socket.set_nonblocking(true).is_ok());
        Self { lines: LogLines::default(), socket, path: path.into(), stderr, is_ending }
    }

    fn write(&self, line: &LogLine) {
        let is_sent = self.socket.as_ref().is_some_and(|socket| {
            !self.is_ending.load(Ordering::Relaxed)
                && socket.send_to(entry(line).as_bytes(), &self.path).is_ok()
        });
        if !is_sent {
            // The level for the journal, see sd-daemon(3).
            (self.stderr)(&format!("<{}>{}\n", line.priority(), line.text));
        }
    }
}

/// An entry of the journal's native protocol. No value has a line break.
fn entry(line: &LogLine) -> String {
    // As systemd fills them for lines on stderr.
    let mut entry = format!(
        "PRIORITY={}\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=thrumd\nMESSAGE={}\n",
        line.priority(),
        line.text
    );
    for (name, value) in &line.fields {
        entry.push_str(&format!("{name}={value}\n"));
    }
    entry
}

impl<S: Subscriber, W: Fn(&str) + 'static> Layer<S> for Journal<W> {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if let Some(line) = self.lines.line(event) {
            self.write(&line);
        }
    }
}
