//! Messages that were handed out and did not fit into an answer. They are claimed for the connection of that answer, so that the
//! next call that looks for messages goes on with it: on another one it would find the newer ones, or nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::client::Client;

/// How long the connection is kept. Then the messages are anybody's again: a hook shows them, too.
const KEPT: Duration = Duration::from_secs(3);

/// The connection that has the rest, or will give it when its answer was written and marked.
#[derive(Clone, Default)]
pub struct Rest {
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    number: u64,
    back: Option<oneshot::Receiver<Client>>,
}

impl Rest {
    /// Some did not fit. Where to give the connection.
    pub fn left_out(&self) -> oneshot::Sender<Client> {
        let (giver, back) = oneshot::channel();
        let mut held = self.held();
        held.number += 1;
        held.back = Some(back);
        let (rest, number) = (self.clone(), held.number);
        drop(held);
        drop(tokio::spawn(async move {
            sleep(KEPT).await;
            let mut held = rest.held();
            if held.number == number {
                held.back = None;
            }
        }));
        giver
    }

    /// The connection that has the rest, if there is one.
    pub async fn take(&self) -> Option<Client> {
        let back = self.held().back.take()?;
        timeout(KEPT, back).await.ok()?.ok()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
