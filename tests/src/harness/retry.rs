//! Blocking calls that go on after a signal.
//!
//! The standard library repeats interrupted calls itself where it reads or writes a whole (`read_exact`,
//! `read_to_end`, `read_line`, `write_all`), accepts or waits for a child; not for what is here. A socket
//! with a time-out is interrupted even in a program that handles no signal, see signal(7).

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Repeats a call that a signal interrupted.
///
/// # Errors
/// When the call fails for another reason.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Reads what is there, once there is something.
///
/// # Errors
/// When the stream fails.
pub fn read_some(stream: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| stream.read(block))
}

/// Connects to a Unix socket.
///
/// # Errors
/// When nobody listens.
pub fn connect_unix(socket: &Path) -> io::Result<UnixStream> {
    uninterrupted(|| UnixStream::connect(socket))
}
