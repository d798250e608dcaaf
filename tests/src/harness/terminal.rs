use std::process::Command;
use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{ControlCode, Eof, Expect as _, Regex, Session};

use super::{Client, Daemon, SHORT, eventually};

/// A program in a terminal of its own, and a person in front of it.
pub struct Terminal {
    session: OsSession,
    seen: String,
}

impl Terminal {
    /// Starts the program.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn open(mut command: Command) -> Self {
        command.env("TERM", "xterm-256color");
        let mut session = Session::spawn(command).expect("a program in a terminal");
        session.set_expect_timeout(Some(SHORT));
        Self { session, seen: String::new() }
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

    /// Waits until this pattern is on the screen; gives what it matched.
    ///
    /// # Panics
    /// When it doesn't come, with what came instead.
    #[track_caller]
    pub fn shows(&mut self, pattern: &str) -> String {
        match self.session.expect(Regex(pattern)) {
            Ok(found) => {
                self.seen.push_str(&String::from_utf8_lossy(found.before()));
                let text = String::from_utf8_lossy(found.get(0).unwrap_or_default()).into_owned();
                self.seen.push_str(&text);
                text
            }
            Err(error) => {
                let rest = self.rest();
                panic!("{pattern:?} is not on the screen ({error}): {}{rest}", self.seen)
            }
        }
    }

    /// Types a line.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn types(&mut self, line: &str) {
        self.session.send_line(line).expect("a terminal");
    }

    /// Presses Ctrl-C.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn interrupts(&mut self) {
        self.session.send(ControlCode::EndOfText).expect("a terminal");
    }

    /// Waits until the program has ended; gives its exit code and everything it showed.
    ///
    /// # Panics
    /// When it doesn't end or a signal ended it.
    #[track_caller]
    pub fn ends(mut self) -> (i32, String) {
        let rest = self.session.expect(Eof);
        match rest {
            Ok(found) => self.seen.push_str(&String::from_utf8_lossy(found.as_bytes())),
            Err(error) => panic!("the program still runs ({error}): {}", self.seen),
        }
        let process = self.session.get_process();
        let status = eventually(SHORT, || match process.status() {
            Ok(WaitStatus::StillAlive) => Err(format!("the program still runs: {}", self.seen)),
            Ok(status) => Ok(status),
            Err(error) => Err(error.to_string()),
        });
        match status {
            WaitStatus::Exited(_, code) => (code, self.seen),
            other => panic!("ended otherwise, {other:?}: {}", self.seen),
        }
    }

    fn rest(&mut self) -> String {
        self.session.set_expect_timeout(Some(Duration::from_millis(100)));
        let mut bytes = vec![0; 8192];
        let count = self.session.try_read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }
}
