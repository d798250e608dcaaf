//! The end of a log file.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

/// The assumed maximum length of a line, which limits how much of a large log is read.
const LINE_MAX_BYTES: u64 = 4096;

/// The last lines of a file. The file's position is then at its end.
pub fn last_lines(file: &mut File, lines: usize) -> std::io::Result<Vec<String>> {
    let length = file.metadata()?.len();
    let wanted = u64::try_from(lines).unwrap_or(u64::MAX).saturating_mul(LINE_MAX_BYTES);
    let start = length.saturating_sub(wanted);
    file.seek(SeekFrom::Start(start))?;
    let mut last = std::collections::VecDeque::new();
    let mut reader = BufReader::new(&mut *file);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        last.push_back(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned());
        if last.len() > lines {
            last.pop_front();
        }
        bytes.clear();
    }
    Ok(last.into())
}

/// The last lines of a log, or none if it can't be read.
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    File::open(path).and_then(|mut file| last_lines(&mut file, lines)).unwrap_or_default()
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
    }
}
