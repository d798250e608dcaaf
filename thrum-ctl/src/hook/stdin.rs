//! Reads the input of a hook: to its end, or until what came is whole, or until the time is over.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use serde::de::IgnoredAny;

/// Most bytes.
pub const INPUT_MAX_BYTES: usize = 16 << 20;
/// How long nothing more may come after something whole: a tool may leave the pipe open.
const QUIET: Duration = Duration::from_millis(50);
const BLOCK_BYTES: usize = 64 << 10;

/// The input. What came is answered also if the end didn't come in time.
///
/// # Errors
/// When it can't be read, and when it is too large.
pub fn input(from: impl AsFd, limit: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + limit;
    let mut bytes = Vec::new();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let wait = if bytes.is_empty() { left } else { left.min(QUIET) };
        if !is_readable(&from, wait)? {
            if left.is_zero() || is_whole(&bytes) {
                return Ok(bytes);
            }
            continue;
        }
        match read(&from, &mut block) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(&block[..count]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        if bytes.len() > INPUT_MAX_BYTES {
            return Err(io::Error::other(format!("it has more than {INPUT_MAX_BYTES} bytes")));
        }
    }
}

/// Waits until something can be read, or the end has come.
pub fn is_readable(from: impl AsFd, wait: Duration) -> io::Result<bool> {
    let mut polled = [PollFd::new(&from, PollFlags::IN)];
    let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
    match poll(&mut polled, Some(&wait)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn an_input_ends_with_its_pipe_or_when_it_is_whole() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"{\"a\": 1").unwrap();
        drop(writer);
        assert_eq!(input(&reader, LONG).unwrap(), b"{\"a\": 1");

        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"{\"a\": 1}\n").unwrap();
        let begin = Instant::now();
        assert_eq!(input(&reader, LONG).unwrap(), b"{\"a\": 1}\n");
        assert!(begin.elapsed() < LONG);
        drop(writer);
    }

    #[test]
    fn what_never_becomes_whole_ends_with_the_time() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert_eq!(input(&reader, Duration::from_millis(20)).unwrap(), b"");
        writer.write_all(b"{").unwrap();
        assert_eq!(input(&reader, Duration::from_millis(120)).unwrap(), b"{");
    }

    #[test]
    fn too_much_is_refused() {
        let endless = std::fs::File::open("/dev/zero").unwrap();
        let error = input(endless, LONG).unwrap_err().to_string();
        assert!(error.contains("more than 16777216 bytes"), "{error}");
    }
}
