//! Log files: their end, and what is added to them.

mod follow;
mod watch;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

pub use follow::LogFollower;
pub use watch::LogWatch;

/// The assumed maximum length of a line, which limits how much of a large log is read.
const LINE_MAX_BYTES: u64 = 4096;

/// The end of a log.
#[derive(Debug, Default)]
pub struct LogEnd {
    /// The last whole lines.
    pub lines: Vec<String>,
    /// What comes after them: a line that is still being written.
    pub unfinished: Vec<u8>,
}

impl LogEnd {
    /// Reads up to this many whole lines. The file's position is then at its end.
    pub fn read(file: &mut File, lines: usize) -> std::io::Result<Self> {
        let length = file.metadata()?.len();
        let wanted = u64::try_from(lines).unwrap_or(u64::MAX).saturating_mul(LINE_MAX_BYTES);
        let start = length.saturating_sub(wanted.max(LINE_MAX_BYTES));
        file.seek(SeekFrom::Start(start))?;
        let mut last = VecDeque::new();
        let mut reader = BufReader::new(&mut *file);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            let Some(line) = bytes.strip_suffix(b"\n") else { break };
            last.push_back(text(line));
            if last.len() > lines {
                last.pop_front();
            }
            bytes.clear();
        }
        Ok(Self { lines: last.into(), unfinished: bytes })
    }

    /// The last lines, the unfinished one among them.
    pub fn into_lines(self, count: usize) -> Vec<String> {
        let Self { mut lines, unfinished } = self;
        if !unfinished.is_empty() {
            lines.push(text(&unfinished));
        }
        lines.split_off(lines.len().saturating_sub(count))
    }
}

/// The last lines of a log, or none if it can't be read.
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    let end = File::open(path).and_then(|mut file| LogEnd::read(&mut file, lines));
    end.unwrap_or_default().into_lines(lines)
}

/// A whole line, of which no character is cut.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_returns_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&path, 2), ["two", "three"]);
        assert_eq!(tail(&path, 9).len(), 3);
        assert!(tail(&path, 0).is_empty());
        assert!(tail(&folder.path().join("none"), 2).is_empty());
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(tail(&path, 2), ["two", "thr"]);
        assert!(tail(&path, 0).is_empty());
    }
}
