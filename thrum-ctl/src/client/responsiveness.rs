//! A call that stays unanswered: the person is told once if nobody answers anything any more.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thrum_api::local::Health;
use thrum_api::method::Empty;
use tokio::time::{sleep, timeout};

use super::Client;
use crate::error::Error;
use crate::printer::Notice;

/// The pauses before each look. Few and growing: many calls wait for something that may take hours,
/// and a daemon that is at work need not be asked for ever whether it is.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(120),
];
/// A daemon that lives answers `health` sooner.
const LIMIT: Duration = Duration::from_secs(1);

/// Keeps an eye on the daemon behind a socket while a call waits for it.
#[derive(Clone)]
pub struct ResponsivenessWatch {
    notice: Notice,
    hint: String,
    socket: PathBuf,
}

impl ResponsivenessWatch {
    /// Watches the daemon behind this socket.
    pub fn new(notice: Notice, hint: String, socket: PathBuf) -> Self {
        Self { notice, hint, socket }
    }

    /// Waits for a call as long as it takes. Gives the notice if the daemon does not answer others
    /// either: it was stopped, or the service manager holds the socket of one that can't start.
    pub async fn over<T>(&self, call: impl Future<Output = T>) -> T {
        let watch = async {
            if !self.notice.is_settled()
                && stops_answering(&PAUSES, || is_unresponsive(&self.socket)).await
            {
                let message = "waiting for thrumd: its socket is open, but nobody answers";
                self.notice.give("waiting", message, &self.hint);
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            answer = call => answer,
            never = watch => never,
        }
    }
}

/// Looks after each pause, until a look finds nobody.
async fn stops_answering<F: Future<Output = bool>>(
    pauses: &[Duration],
    mut look: impl FnMut() -> F,
) -> bool {
    for pause in pauses {
        sleep(*pause).await;
        if look().await {
            return true;
        }
    }
    false
}

async fn is_unresponsive(socket: &Path) -> bool {
    let asked = async { Client::open(socket).await?.ask::<Health>(&Empty {}).await };
    match timeout(LIMIT, asked).await {
        Err(_) => true,
        // The socket's queue is full of those who came before.
        Ok(Err(Error::Connect { source, .. })) => source.kind() == io::ErrorKind::WouldBlock,
        // An answer; or a socket that is gone, which the call itself will tell.
        Ok(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    const SOON: [Duration; 4] = [Duration::from_millis(1); 4];

    #[test]
    fn looking_ends_when_nobody_was_there_and_after_a_few_times() {
        let looks = |silent_at: usize| {
            let mut looks = 0;
            let found = runtime().block_on(stops_answering(&SOON, || {
                looks += 1;
                std::future::ready(looks == silent_at)
            }));
            (found, looks)
        };
        assert_eq!(looks(1), (true, 1));
        assert_eq!(looks(3), (true, 3));
        assert_eq!(looks(99), (false, SOON.len()), "a daemon that answers is left alone");
    }

    #[test]
    fn the_pauses_grow() {
        assert!(PAUSES.is_sorted_by(|one, next| *next >= 2 * *one), "{PAUSES:?}");
    }

    #[test]
    fn a_socket_that_nobody_accepts_from_is_silent_and_a_dead_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("held.sock");
        let held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(runtime().block_on(is_unresponsive(&socket)));
        drop(held);
        assert!(
            !runtime().block_on(is_unresponsive(&socket)),
            "it has died, which has its own error"
        );
    }
}
