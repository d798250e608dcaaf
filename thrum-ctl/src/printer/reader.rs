//! Whether somebody reads what was printed.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::{FileType, OFlags, Stat, fcntl_getfl, fstat};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use tokio::time::timeout;

use crate::error::Error;

/// How long a reader has for leaving: `head -1` closes the pipe a moment after it got the last line. Only
/// what marks messages as read waits for that.
const GRACE: Duration = Duration::from_millis(50);

/// Whether nothing can be read of this output: it was closed when the process began, or can't be written.
/// Rust opens `/dev/null` for reading and writing in place of a closed stdout; a shell's `>/dev/null`, by
/// which a person throws the output away, opens it for writing only.
pub fn is_closed(out: impl AsFd) -> bool {
    let mode = fcntl_getfl(&out).map_or(OFlags::RDONLY, |flags| flags & OFlags::RWMODE);
    mode == OFlags::RDONLY || (mode == OFlags::RDWR && is_null(out))
}

/// Whether the reader at the other end of a pipe or socket has closed it. Waits a moment for that.
pub async fn has_left(out: impl AsFd) -> bool {
    let kind = fstat(&out).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket)) && timeout(GRACE, left(out)).await.is_ok()
}

/// Whether what was written to this output has a reader. Waits a moment for one that leaves.
pub async fn is_read(out: impl AsFd) -> bool {
    !is_closed(&out) && !has_left(&out).await
}

/// Does the work of a command that prints what comes, for as long as its output has a reader. Without this a
/// command that waits would notice only when it prints the next line, which may take days.
///
/// # Errors
/// Those of the work, and [`Error::PipeClosed`] when the reader of stdout has left.
pub async fn while_read<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let work = Box::pin(work);
    tokio::select! {
        biased;
        result = work => result,
        () = left(std::io::stdout()) => Err(Error::PipeClosed),
    }
}

/// Waits until the reader of a pipe, socket or terminal has left. Never ends for a file.
async fn left(out: impl AsFd) {
    let watched = out.as_fd().try_clone_to_owned().and_then(|out| {
        #[expect(
            deprecated,
            reason = "its successor is unsafe; an OwnedFd keeps what that demands"
        )]
        AsyncFd::with_interest(out, Interest::WRITABLE)
    });
    if let Ok(out) = watched {
        while let Ok(mut guard) = out.ready(Interest::WRITABLE | Interest::ERROR).await {
            if guard.ready().is_error() || guard.ready().is_write_closed() {
                return;
            }
            guard.clear_ready_matching(Ready::WRITABLE);
        }
    }
    std::future::pending().await
}

fn is_null(out: impl AsFd) -> bool {
    let of = |stat: rustix::io::Result<Stat>| stat.ok().map(|stat| (stat.st_dev, stat.st_ino));
    let null = of(rustix::fs::stat("/dev/null"));
    null.is_some() && of(fstat(out)) == null
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn a_pipe_or_socket_tells_when_its_reader_has_left() {
        let (reader, writer) = std::io::pipe().unwrap();
        assert!(!has_left(&writer).await);
        drop(reader);
        assert!(has_left(&writer).await);
        let (reader, writer) = UnixStream::pair().unwrap();
        assert!(!has_left(&writer).await);
        drop(reader);
        assert!(has_left(&writer).await);
        assert!(!has_left(tempfile::tempfile().unwrap()).await, "a file is read later");
    }

    #[tokio::test]
    async fn waiting_for_the_reader_ends_when_it_leaves() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, b"line").unwrap();
        let waiting = tokio::spawn(left(writer));
        tokio::task::yield_now().await;
        drop(reader);
        waiting.await.unwrap();
    }

    #[test]
    fn an_output_that_was_closed_is_not_one_that_is_thrown_away() {
        let null = |read| OpenOptions::new().read(read).write(true).open("/dev/null").unwrap();
        assert!(is_closed(null(true)));
        assert!(!is_closed(null(false)));
        assert!(is_closed(File::open("/dev/null").unwrap()), "can't be written");
        let (_reader, writer) = std::io::pipe().unwrap();
        assert!(!is_closed(&writer));
        assert!(!is_closed(tempfile::tempfile().unwrap()), "a file for reading and writing");
    }
}
