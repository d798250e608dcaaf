//! The pooled connections of the client, against a server that counts what it accepts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use thrum_api::DaemonId;
use thrum_api::peer::{PeerInfo, SyncPeerInfo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::ids;
use crate::tailnet::loopback::Loopback;

/// A peer that answers each request on its connections when it may.
struct Server {
    address: SocketAddr,
    id: DaemonId,
    accepted: AtomicUsize,
    closed: AtomicUsize,
    asked: AtomicUsize,
    may_answer: Semaphore,
    /// Ends every connection.
    end: CancellationToken,
    /// Requests that are answered on one connection; the next one closes it.
    answers: usize,
}

impl Server {
    async fn start(answers: usize) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            id: ids::daemon(),
            accepted: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            may_answer: Semaphore::new(1000),
            end: CancellationToken::new(),
            answers,
        });
        let server = Arc::clone(&peer);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                server.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(Arc::clone(&server).serve(stream));
            }
        });
        peer
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut request = [0; 4096];
        let mut answered = 0;
        // Requests are small enough for one read.
        while let Some(Ok(1..)) = self.end.run_until_cancelled(stream.read(&mut request)).await {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if answered == self.answers {
                break;
            }
            self.may_answer.acquire().await.unwrap().forget();
            let result = PeerInfo {
                id: self.id,
                name: "peer".into(),
                version: "0".into(),
                epoch: ids::epoch(),
                head_seq: thrum_api::Sequence(1),
                more: Default::default(),
            };
            let body = json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
            answered += 1;
        }
        drop(stream);
        self.closed.fetch_add(1, Ordering::SeqCst);
    }

    fn close(&self) {
        self.end.cancel();
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn client() -> Client {
    Client::new(Tailnet::Loopback(Loopback::new("here".into())))
}

async fn ask(
    client: &Client,
    name: &str,
    addresses: &[SocketAddr],
) -> Result<Answer<PeerInfo>, ClientError> {
    call(client, Callee::Stranger(name), addresses).await
}

async fn call(
    client: &Client,
    to: Callee<'_>,
    addresses: &[SocketAddr],
) -> Result<Answer<PeerInfo>, ClientError> {
    client.call::<SyncPeerInfo>(to, addresses, &Default::default(), Bounds::SMALL).await
}

async fn until(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), waiting).await.expect("in time");
}

#[tokio::test]
async fn a_connection_is_used_again_however_long_it_was_idle() {
    let (client, peer) = (client(), Server::start(usize::MAX).await);
    ask(&client, "peer", &[peer.address]).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(7 * 24 * 3600)).await;
    tokio::time::resume();
    ask(&client, "peer", &[peer.address]).await.unwrap();
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn the_end_of_a_kept_connection_is_reported_for_peers_and_not_when_we_closed_it() {
    let client = client();
    let peer = |address| crate::sync::tests::fake_record(address);
    let closing = Server::start(1).await;
    let record = peer(closing.address);
    call(&client, Callee::Peer(&record), &[closing.address]).await.unwrap();
    assert!(client.closed.borrow().is_empty(), "the connection is kept");
    closing.close();
    assert_eq!(client.connections_closed().await, [record.daemon_id].into());

    let stranger = Server::start(1).await;
    ask(&client, "stranger", &[stranger.address]).await.unwrap();
    stranger.close();
    until(|| stranger.closed.load(Ordering::SeqCst) == 1).await;

    let kept = Server::start(usize::MAX).await;
    let record = peer(kept.address);
    call(&client, Callee::Peer(&record), &[kept.address]).await.unwrap();
    client.forget_connections();
    until(|| kept.closed.load(Ordering::SeqCst) == 1).await;
    assert!(client.closed.borrow().is_empty());
}

#[tokio::test]
async fn forgetting_connections_closes_idle_ones_at_once() {
    let (client, peer) = (client(), Server::start(usize::MAX).await);
    ask(&client, "peer", &[peer.address]).await.unwrap();
    client.forget_connections();
    until(|| peer.closed.load(Ordering::SeqCst) == 1).await;
    ask(&client, "peer", &[peer.address]).await.unwrap();
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn a_connection_that_was_in_use_when_the_network_changed_is_not_kept() {
    let (client, peer) = (client(), Server::start(usize::MAX).await);
    peer.may_answer.forget_permits(1000);
    let asking = tokio::spawn({
        let (client, address) = (client.clone(), peer.address);
        async move { ask(&client, "peer", &[address]).await }
    });
    until(|| peer.asked.load(Ordering::SeqCst) == 1).await;
    client.forget_connections();
    peer.may_answer.add_permits(2);
    asking.await.unwrap().unwrap();
    until(|| peer.closed.load(Ordering::SeqCst) == 1).await;
    ask(&client, "peer", &[peer.address]).await.unwrap();
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn peers_and_sets_of_addresses_share_no_connection() {
    let (client, peer) = (client(), Server::start(usize::MAX).await);
    // Nothing listens there.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let both = [free, peer.address];
    for (name, addresses) in [("a", &both[1..]), ("b", &both[1..]), ("b @x:1/\u{fc}", &both[..])] {
        let before = peer.accepted();
        for _ in 0..2 {
            let answer = ask(&client, name, addresses).await.unwrap();
            assert_eq!(answer.address, peer.address, "a kept connection tells it, too");
        }
        assert_eq!(peer.accepted(), before + 1, "{name}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_turns_out_closed_is_replaced() {
    let (client, peer) = (client(), Server::start(1).await);
    for requests in [1, 3, 5] {
        ask(&client, "peer", &[peer.address]).await.unwrap();
        assert_eq!(peer.asked.load(Ordering::SeqCst), requests, "each was asked on the kept one");
    }
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_an_error_and_no_reason_to_ask_again() {
    let (client, peer) = (client(), Server::start(0).await);
    let error = ask(&client, "peer", &[peer.address]).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { address, .. } if address == peer.address));
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn a_uri_holds_the_addresses() {
    let wanted: [SocketAddr; 2] =
        ["100.64.0.1:9100".parse().unwrap(), "[fd7a:115c:a1e0::1]:9100".parse().unwrap()];
    let uri = uri("laptop", &wanted).parse().unwrap();
    assert_eq!(connector::addresses(&uri), wanted);
}

#[tokio::test]
async fn an_answer_whose_head_never_ends_is_cut_off() {
    let informational = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(1000);
    let header = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(64 * 1024));
    for flood in [informational, header] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let flooding = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The request is small enough for one read.
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
            let mut bytes = 0;
            while stream.write_all(flood.as_bytes()).await.is_ok() {
                bytes += flood.len();
            }
            bytes
        });
        let error = ask(&client(), "flood", &[address]).await.unwrap_err();
        assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
        assert!(error.text().contains("head"), "{}", error.text());
        // The rest is what the buffers of both sides take.
        let sent = flooding.await.unwrap();
        assert!(sent < 64 * 1024 * 1024, "{sent} bytes");
    }
}
