//! Binds the socket anew when its file was removed or replaced. Programs find the daemon by that file alone.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::socket::{LocalSocket, SocketError, SocketPlace};
use crate::file_watch::FileWatch;
use crate::message_id;
use crate::report::Chain;

/// How long to leave the folder alone after a change, so that `rm -r` of all of it comes to its end.
const SETTLE: Duration = Duration::from_secs(1);
/// How often to try while it can't be bound. Nothing tells that another daemon was killed, or a folder may be
/// written again.
const RETRY: Duration = Duration::from_secs(60);

/// Watches this place of a socket until the receiver is dropped, and sends each socket that takes it again.
/// `inherited`: the service manager holds the socket that was there first.
pub(super) fn keep_in_place(place: SocketPlace, inherited: bool) -> mpsc::Receiver<LocalSocket> {
    let (to, sockets) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = to.closed() => {}
            () = keep(place, inherited, &to) => {}
        }
    });
    sockets
}

async fn keep(mut place: SocketPlace, mut inherited: bool, to: &mpsc::Sender<LocalSocket>) {
    let mut watch = FileWatch::new([place.path.clone()]);
    let mut told = None;
    loop {
        if place.is_taken() {
            told = None;
        } else {
            match bind(&place).await {
                Ok(socket) => {
                    let path = place.path.display();
                    tracing::warn!("the socket {path} was removed or replaced: bound anew");
                    (place, inherited, told) = (socket.file.place.clone(), false, None);
                    if to.send(socket).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    let text = Chain(&error).to_string();
                    if told.as_ref() != Some(&text) {
                        tell(&place, inherited, &text);
                        told = Some(text);
                    }
                }
            }
        }
        match told {
            None => watch.changed().await,
            Some(_) => drop(timeout(RETRY, watch.changed()).await),
        }
        sleep(SETTLE).await;
    }
}

async fn bind(place: &SocketPlace) -> Result<LocalSocket, SocketError> {
    let (path, place) = (place.path.clone(), place.clone());
    let bound = tokio::task::spawn_blocking(move || place.bind()).await;
    bound.unwrap_or_else(|cause| {
        Err(SocketError::System { what: "bind", path, cause: cause.into() })
    })
}

fn tell(place: &SocketPlace, inherited: bool, why: &str) {
    let next = match inherited {
        true => "sudo systemctl restart thrumd.service thrumd.socket",
        false => "thrum daemon restart",
    };
    tracing::error!(
        journal.message_id = message_id::SOCKET_LOST,
        "programs can't find thrumd: the socket {} was removed or replaced, and can't be bound anew: {why}; \
         when that is mended: `{next}`",
        place.path.display()
    );
}
