use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::harness::{connect_unix, read_some};

/// A socket that leads to another one and counts the HTTP requests that go through it.
pub(super) struct Wiretap {
    folder: tempfile::TempDir,
    requests: Arc<AtomicU64>,
}

impl Wiretap {
    /// Opens one before this socket.
    pub(super) fn before(socket: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("tap-").tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(folder.path().join("tap.sock")).unwrap();
        let requests = Arc::new(AtomicU64::new(0));
        let (to, counter) = (socket.to_owned(), Arc::clone(&requests));
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let Ok(called) = connect_unix(&to) else { continue };
                let back = (called.try_clone().unwrap(), caller.try_clone().unwrap());
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || carry(caller, called, Some(&counter)));
                std::thread::spawn(move || carry(back.0, back.1, None));
            }
        });
        Self { folder, requests }
    }

    /// Where to call instead.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("tap.sock")
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Carries bytes until either side ends. A request's first line comes whole.
fn carry(mut from: UnixStream, mut to: UnixStream, counter: Option<&AtomicU64>) {
    let mut block = [0; 16 * 1024];
    while let Ok(count @ 1..) = read_some(&mut from, &mut block) {
        let bytes = &block[..count];
        if let Some(counter) = counter {
            let lines = bytes.windows(11).filter(|it| it == b" HTTP/1.1\r\n").count();
            counter.fetch_add(lines as u64, Ordering::Relaxed);
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ended = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
