use std::process::Command;
use std::time::Instant;

use regex::Regex;

use super::pty::{Drawn, Pty};
use super::{Client, Daemon, SHORT};

/// The size of a terminal unless a test says otherwise.
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// A program in a terminal of its own, and a person in front of it.
pub struct Terminal {
    pty: Pty,
    /// All that the program wrote so far.
    written: Vec<u8>,
    /// Up to where the person has read the text of it.
    read: usize,
}

impl Terminal {
    /// Starts the program in a terminal of 80 columns.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn open(command: Command) -> Self {
        Self::sized(command, COLUMNS, ROWS)
    }

    /// Starts the program in a terminal of this size.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn sized(mut command: Command, columns: u16, rows: u16) -> Self {
        command.env("TERM", "xterm-256color");
        Self { pty: Pty::open(command, columns, rows), written: Vec::new(), read: 0 }
    }

    /// Starts the client of this daemon, without colours.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn of(daemon: &Daemon, words: &[&str]) -> Self {
        Self::open(Client::new(daemon).env("NO_COLOR", 1).command(words))
    }

    /// Waits for the pairing code that `thrum peer add` shows.
    ///
    /// # Panics
    /// When it doesn't come.
    #[track_caller]
    pub fn shows_code(&mut self) -> String {
        let text = self.shows(r"Waiting for connection\.\.\. Pairing code: \d{4}");
        text[text.len() - 4..].to_owned()
    }

    /// Waits until this pattern is on the screen, after what was waited for before; gives what it matched.
    ///
    /// # Panics
    /// When it doesn't come, with what came instead.
    #[track_caller]
    pub fn shows(&mut self, pattern: &str) -> String {
        let wanted = Regex::new(pattern).expect("a pattern");
        let end = Instant::now() + SHORT;
        loop {
            let text = self.text();
            if let Some(found) = wanted.find_at(&text, self.read) {
                self.read = found.end();
                return found.as_str().to_owned();
            }
            match self.goes_on(end) {
                Some(true) => {}
                Some(false) => panic!("{pattern:?} was not on the screen at the end: {text}"),
                None => panic!("{pattern:?} is not on the screen in time: {text}"),
            }
        }
    }

    /// Types a line.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn types(&mut self, line: &str) {
        self.pty.press(&format!("{line}\n")).expect("a terminal");
    }

    /// Presses Ctrl-C.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn interrupts(&mut self) {
        self.pty.press("\u{3}").expect("a terminal");
    }

    /// Waits until the program has ended; gives its exit code and everything it showed.
    ///
    /// # Panics
    /// When it doesn't end or a signal ended it.
    #[track_caller]
    pub fn ends(mut self) -> (i32, String) {
        let end = Instant::now() + SHORT;
        loop {
            match self.goes_on(end) {
                Some(true) => {}
                Some(false) => break,
                None => panic!("the program still runs: {}", self.text()),
            }
        }
        match self.pty.exit_code() {
            Ok(code) => (code, self.text()),
            Err(reason) => panic!("{reason}: {}", self.text()),
        }
    }

    /// Takes what the program writes next; answers whether there was something, or it has ended. None if neither comes in
    /// time.
    fn goes_on(&mut self, end: Instant) -> Option<bool> {
        let left = end.saturating_duration_since(Instant::now());
        match self.pty.drawn_within(left) {
            Drawn::Bytes(bytes) => {
                self.written.extend(bytes);
                Some(true)
            }
            Drawn::Nothing => None,
            Drawn::End => Some(false),
        }
    }

    /// The text so far. A character of which only the first bytes have come is left for later: its place would
    /// move.
    fn text(&self) -> String {
        let whole = match std::str::from_utf8(&self.written) {
            Err(error) if error.error_len().is_none() => &self.written[..error.valid_up_to()],
            _ => &self.written,
        };
        String::from_utf8_lossy(whole).into_owned()
    }
}
