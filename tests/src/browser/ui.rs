use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::harness::{Client, SHORT};

/// A running `thrum ui --no-open`. Dropping it ends it.
#[derive(Debug)]
pub struct Ui {
    child: Child,
    address: String,
    said: Receiver<String>,
}

impl Ui {
    /// The words with which it tells its address.
    pub const WORDS: [&str; 2] = ["ui", "--no-open"];

    /// Starts it with these words after `thrum ui --no-open`, and waits for its address.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn start(client: &Client, words: &[&str]) -> Self {
        Self::of(client.command(&[&Self::WORDS, words].concat()))
    }

    /// What this command starts, which has [`Ui::WORDS`].
    ///
    /// # Panics
    /// When no address comes.
    #[track_caller]
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("thrum starts");
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (line, said) = channel();
        std::thread::spawn(move || {
            for text in stdout.lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    return;
                }
            }
        });
        let mut ui = Self { child, address: String::new(), said };
        ui.address = ui.reads_address();
        ui
    }

    #[track_caller]
    fn reads_address(&self) -> String {
        let begun = Instant::now();
        let mut seen = Vec::new();
        while let Ok(line) = self.said.recv_timeout(SHORT.saturating_sub(begun.elapsed())) {
            let found = line
                .split_whitespace()
                .find(|word| word.starts_with("http://") && word.contains("#t="));
            if let Some(address) = found {
                return address.to_owned();
            }
            seen.push(line);
        }
        panic!("thrum ui printed no address with a token: {seen:?}");
    }

    /// Its address with the token, which works once.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its address without the token.
    ///
    /// # Panics
    /// When it has none.
    pub fn origin(&self) -> &str {
        let (origin, _) = self.address.split_once("/#").expect("a fragment");
        origin
    }

    /// Its port.
    ///
    /// # Panics
    /// When it has none.
    pub fn port(&self) -> u16 {
        let (_, port) = self.origin().rsplit_once(':').expect("a port");
        port.parse().expect("a number")
    }

    /// The token.
    ///
    /// # Panics
    /// When it has none.
    pub fn token(&self) -> &str {
        let (_, token) = self.address.split_once("#t=").expect("a token");
        token
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, as the person's Ctrl-C does.
    ///
    /// # Panics
    /// When it doesn't end.
    #[track_caller]
    pub fn stop(&mut self) {
        crate::harness::process::signal(self.child.id(), rustix::process::Signal::INT);
        let ended = crate::harness::ended_within(SHORT, &mut self.child);
        assert!(ended.is_some(), "thrum ui did not end");
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
