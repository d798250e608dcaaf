use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;

use thrum_api::local::Change;

use super::{Daemon, LONG, connect_unix, http};

/// A reader of `GET /changes` at a daemon.
pub struct ChangeReader {
    lines: BufReader<UnixStream>,
}

impl ChangeReader {
    /// Begins to read.
    ///
    /// # Panics
    /// When nothing comes, or not what a reader is told first.
    #[track_caller]
    pub fn of(daemon: &Daemon) -> Self {
        let mut stream = connect_unix(&daemon.socket()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(&http::request("GET", "/changes", &[], b"")).unwrap();
        let mut reader = Self { lines: BufReader::new(stream) };
        let first = reader.next_change().unwrap();
        assert!(first.status && first.agents && first.deliveries, "{first:?}");
        reader
    }

    /// The next change; None at the end.
    ///
    /// # Panics
    /// When nothing comes for a minute.
    #[track_caller]
    pub fn next_change(&mut self) -> Option<Change> {
        loop {
            let mut line = String::new();
            match self.lines.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing in time: {error}"),
            }
            if let Some(json) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(json).unwrap());
            }
        }
    }

    /// Asks again whenever a change says so, until the answer is right. `concerns`: whether a change does.
    ///
    /// # Panics
    /// When nothing comes for a minute, or the stream ends.
    #[track_caller]
    pub fn until<T>(
        &mut self,
        concerns: impl Fn(&Change) -> bool,
        mut ask: impl FnMut() -> Result<T, String>,
    ) -> T {
        let mut last = match ask() {
            Ok(done) => return done,
            Err(why) => why,
        };
        loop {
            let change =
                self.next_change().unwrap_or_else(|| panic!("the stream has ended: {last}"));
            if concerns(&change) {
                match ask() {
                    Ok(done) => return done,
                    Err(why) => last = why,
                }
            }
        }
    }
}
