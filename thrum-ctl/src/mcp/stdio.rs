//! Stdin and stdout, without a thread for each: tools connect them with pipes (Rust, Python) or with sockets (Node).

use std::os::fd::{AsFd as _, BorrowedFd};

use rmcp::transport::stdio_pipes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// Where requests come from.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// Where answers go.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Opens both. What is neither a pipe nor a socket is read by a thread.
pub fn open() -> (Reader, Writer) {
    let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
    if let (Some(reader), Some(writer)) = (socket(stdin.as_fd()), socket(stdout.as_fd())) {
        return (Box::new(reader), Box::new(writer));
    }
    let (reader, writer) = stdio_pipes();
    (Box::new(reader), Box::new(writer))
}

/// The socket behind a descriptor. Only this end of it stops blocking, which no other process uses.
fn socket(descriptor: BorrowedFd<'_>) -> Option<UnixStream> {
    let stat = rustix::fs::fstat(descriptor).ok()?;
    if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_socket() {
        return None;
    }
    let stream = std::os::unix::net::UnixStream::from(descriptor.try_clone_to_owned().ok()?);
    // Fails for a socket of another family.
    stream.local_addr().ok()?;
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}
