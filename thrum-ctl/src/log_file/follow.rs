//! What is added to a log, whichever file it is in.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::text;

const BLOCK_BYTES: usize = 64 * 1024;

/// Reads on from where it is, by whole lines. When the log is rotated (another file takes its name, or it is cut off
/// and begins anew), what is left of the old file comes first.
#[derive(Debug)]
pub struct LogFollower {
    path: PathBuf,
    file: File,
    block: Vec<u8>,
    /// Since the last line break: a line, or a character of it, may come in pieces.
    unfinished: Vec<u8>,
}

impl LogFollower {
    /// Goes on at the position of the file, after the beginning of a line.
    pub fn new(path: PathBuf, file: File, unfinished: Vec<u8>) -> Self {
        Self { path, file, block: vec![0; BLOCK_BYTES], unfinished }
    }

    /// The next lines, at most a block at once. None when there is no more for now.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn next_lines(&mut self) -> io::Result<Option<Vec<String>>> {
        loop {
            // First: what was written to this file before there was another one is in it by now.
            let successor = self.successor();
            let count = match self.file.read(&mut self.block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if count > 0 {
                return Ok(Some(self.split(count)));
            }
            if self.file.metadata()?.len() < self.file.stream_position()? {
                self.file.rewind()?;
            } else if let Some(file) = successor {
                self.file = file;
            } else {
                return Ok(None);
            }
            // Nobody finishes that line any more.
            if !self.unfinished.is_empty() {
                return Ok(Some(vec![text(&std::mem::take(&mut self.unfinished))]));
            }
        }
    }

    /// Ends the unfinished line with what was read, and keeps the beginning of the next one.
    fn split(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = &self.block[..count];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.unfinished.extend_from_slice(&rest[..end]);
            lines.push(text(&self.unfinished));
            self.unfinished.clear();
            rest = &rest[end + 1..];
        }
        self.unfinished.extend_from_slice(rest);
        lines
    }

    /// The file that has the name of the log now, if it is another one.
    fn successor(&self) -> Option<File> {
        let identity = |file: &Metadata| (file.dev(), file.ino());
        let ours = identity(&self.file.metadata().ok()?);
        // While the name is free, the old file may still grow.
        if identity(&std::fs::metadata(&self.path).ok()?) == ours {
            return None;
        }
        let file = File::open(&self.path).ok()?;
        (identity(&file.metadata().ok()?) != ours).then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;
    use crate::log_file::LogEnd;

    struct Log {
        folder: tempfile::TempDir,
        file: File,
        follower: LogFollower,
    }

    impl Log {
        fn path(&self) -> PathBuf {
            self.folder.path().join("log")
        }

        fn write(&mut self, bytes: impl AsRef<[u8]>) {
            self.file.write_all(bytes.as_ref()).unwrap();
        }

        fn create(&mut self) {
            self.file = File::options().append(true).create_new(true).open(self.path()).unwrap();
        }

        fn rename(&self) {
            fs::rename(self.path(), self.folder.path().join("log.1")).unwrap();
        }

        fn lines(&mut self) -> Vec<String> {
            let more = || self.follower.next_lines().unwrap();
            std::iter::from_fn(more).flatten().collect()
        }
    }

    /// A log with this in it, of which the last line is printed.
    fn log(text: &str) -> Log {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, text).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        let mut read = File::open(&path).unwrap();
        let end = LogEnd::read(&mut read, 1).unwrap();
        assert_eq!(end.lines, ["old"]);
        Log { folder, file, follower: LogFollower::new(path, read, end.unfinished) }
    }

    #[test]
    fn a_line_comes_when_it_is_whole() {
        let mut log = log("old\nbeg");
        assert!(log.lines().is_empty());
        log.write("un");
        assert!(log.lines().is_empty());
        log.write("\nnext\n\nunfinished");
        assert_eq!(log.lines(), ["begun", "next", ""]);
        log.write("\n");
        assert_eq!(log.lines(), ["unfinished"]);
    }

    #[test]
    fn a_character_that_is_split_between_two_writes_stays_one() {
        let mut log = log("old\n");
        for byte in "züge 🚂\n".as_bytes() {
            assert!(log.lines().is_empty());
            log.write([*byte]);
        }
        assert_eq!(log.lines(), ["züge 🚂"]);
        // And between two blocks.
        let long = "ü".repeat(BLOCK_BYTES);
        log.write(format!("x{long}\n"));
        assert_eq!(log.lines(), [format!("x{long}")]);
    }

    #[test]
    fn what_is_left_of_a_rotated_log_comes_first() {
        let mut log = log("old\n");
        log.write("before\n");
        log.rename();
        log.write("late\nnever finished");
        log.create();
        log.write("new\n");
        assert_eq!(log.lines(), ["before", "late", "never finished", "new"]);
        log.write("newer\n");
        assert_eq!(log.lines(), ["newer"]);
    }

    #[test]
    fn a_log_whose_name_is_free_for_a_while_is_followed() {
        let mut log = log("old\n");
        log.rename();
        assert!(log.lines().is_empty());
        log.write("late\n");
        assert_eq!(log.lines(), ["late"]);
        log.create();
        log.write("new\n");
        assert_eq!(log.lines(), ["new"]);
    }

    #[test]
    fn a_new_log_that_is_longer_than_the_old_one_is_read_from_its_start() {
        let mut log = log("old\n");
        let new = log.folder.path().join("new");
        fs::write(&new, "much longer than it\n".repeat(3)).unwrap();
        fs::rename(&new, log.path()).unwrap();
        assert_eq!(log.lines().len(), 3);
    }

    #[test]
    fn a_log_that_is_cut_off_begins_anew() {
        let mut log = log("old\n");
        log.write("one\ntwo\nthr");
        assert_eq!(log.lines(), ["one", "two"]);
        log.file.set_len(0).unwrap();
        log.write("a\n");
        assert_eq!(log.lines(), ["thr", "a"]);
    }
}
