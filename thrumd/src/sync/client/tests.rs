//! The pooled connections of the client, against a server that counts what it accepts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use thrum_api::peer::{PeerInfo, SyncPeerInfo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

mod slow;

use super::*;
use crate::ids;
use crate::sync::tests::fake_record;
use crate::tailnet::localapi::fake::Fake;
use crate::tailnet::loopback::Loopback;
use crate::tailnet::tailscaled::{Instance, Tailscaled, TailscaledConfig};

/// A peer that answers each request on its connections when it may.
struct Server {
    address: SocketAddr,
    record: Peer,
    accepted: AtomicUsize,
    closed: AtomicUsize,
    asked: AtomicUsize,
    may_answer: Semaphore,
    /// Ends every connection.
    end: CancellationToken,
    /// Requests that are answered on one connection; the next one closes it.
    answers: usize,
    /// The answers say that it closes the connection, which it does.
    says_that_it_closes: AtomicBool,
}

impl Server {
    async fn start(answers: usize) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = Arc::new(Self {
            address,
            record: fake_record(address),
            accepted: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            may_answer: Semaphore::new(1000),
            end: CancellationToken::new(),
            answers,
            says_that_it_closes: AtomicBool::new(false),
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
                id: self.record.daemon_id,
                name: "peer".into(),
                version: "0".into(),
                epoch: ids::epoch(),
                head_seq: thrum_api::Sequence(1),
                more: Default::default(),
            };
            let body = json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string();
            let closes = self.says_that_it_closes.load(Ordering::SeqCst);
            let connection = if closes { "Connection: close\r\n" } else { "" };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{connection}\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
            if closes {
                break;
            }
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

async fn ask(client: &Client, peer: &Server) -> Result<Answer<PeerInfo>, ClientError> {
    call(client, Callee::Peer(&peer.record), &[peer.address]).await
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
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("in time");
}

#[tokio::test]
async fn a_connection_is_used_again_however_long_it_was_idle() {
    let (client, peer) = (client(), Server::start(usize::MAX).await);
    ask(&client, &peer).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(7 * 24 * 3600)).await;
    tokio::time::resume();
    ask(&client, &peer).await.unwrap();
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn the_end_of_a_kept_connection_is_reported_for_peers_and_not_when_we_closed_it() {
    let client = client();
    let closing = Server::start(1).await;
    ask(&client, &closing).await.unwrap();
    assert!(client.closed.borrow().is_empty(), "the connection is kept");
    closing.close();
    assert_eq!(client.connections_closed().await, [closing.record.daemon_id].into());

    let stranger = Server::start(1).await;
    call(&client, Callee::Stranger("stranger"), &[stranger.address]).await.unwrap();
    until(|| stranger.closed.load(Ordering::SeqCst) == 1).await;

    let kept = Server::start(usize::MAX).await;
    ask(&client, &kept).await.unwrap();
    client.keep_connections(|_| false);
    until(|| kept.closed.load(Ordering::SeqCst) == 1).await;
    assert!(client.closed.borrow().is_empty());
}

#[tokio::test]
async fn idle_connections_that_are_not_kept_are_closed_at_once() {
    let client = client();
    let (peer, other) = (Server::start(usize::MAX).await, Server::start(usize::MAX).await);
    ask(&client, &peer).await.unwrap();
    ask(&client, &other).await.unwrap();
    client.keep_connections(|it| *it != peer.record.daemon_id);
    until(|| peer.closed.load(Ordering::SeqCst) == 1).await;
    ask(&client, &peer).await.unwrap();
    ask(&client, &other).await.unwrap();
    assert_eq!((peer.accepted(), other.accepted()), (2, 1));
}

#[tokio::test]
async fn a_connection_that_was_in_use_when_the_network_changed_is_not_kept() {
    let (client, peer) = (client(), Server::start(usize::MAX).await);
    peer.may_answer.forget_permits(1000);
    let asking = tokio::spawn({
        let (client, peer) = (client.clone(), Arc::clone(&peer));
        async move { ask(&client, &peer).await }
    });
    until(|| peer.asked.load(Ordering::SeqCst) == 1).await;
    client.keep_connections(|_| false);
    peer.may_answer.add_permits(2);
    asking.await.unwrap().unwrap();
    until(|| peer.closed.load(Ordering::SeqCst) == 1).await;
    ask(&client, &peer).await.unwrap();
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn peers_and_sets_of_addresses_share_no_connection() {
    let (client, peer) = (client(), Server::start(usize::MAX).await);
    // Nothing listens there.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (both, other) = ([free, peer.address], fake_record(peer.address));
    for (of, addresses) in
        [(&peer.record, &both[1..]), (&other, &both[1..]), (&peer.record, &both[..])]
    {
        let before = peer.accepted();
        for _ in 0..2 {
            let answer = call(&client, Callee::Peer(of), addresses).await.unwrap();
            assert_eq!(answer.address, peer.address, "a kept connection tells it, too");
        }
        assert_eq!(peer.accepted(), before + 1, "{of:?} at {addresses:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_nothing_watches_is_not_used_again_and_its_end_is_told() {
    let fake = Fake::start();
    let node = |id, ip| json!({"ID": id, "DNSName": "a.tail.test.", "TailscaleIPs": [ip]});
    let status = json!({
        "TUN": false, "BackendState": "Running", "TailscaleIPs": ["127.0.0.2"],
        "Self": node("1", "127.0.0.2"), "Peer": {"nodekey:b": node("2", "127.0.0.1")},
    });
    fake.set("status", 200, status.to_string());
    let config = TailscaledConfig { socket: Some(fake.socket()), instance: Instance::System };
    let tailnet = Tailnet::Tailscaled(Tailscaled::open(config));
    tailnet.wait_until_up().await;
    let patient = Client::new(tailnet);
    let strict = Client { unwatched_idle: Duration::ZERO, ..Client::new(patient.tailnet.clone()) };
    let watched = Client { unwatched_idle: Duration::ZERO, ..client() };
    for (client, connections) in [(&patient, 1), (&strict, 2), (&watched, 1)] {
        let peer = Server::start(usize::MAX).await;
        ask(client, &peer).await.unwrap();
        ask(client, &peer).await.unwrap();
        assert_eq!(peer.accepted(), connections);
        peer.close();
        assert_eq!(client.connections_closed().await, [peer.record.daemon_id].into());
    }
}

#[tokio::test]
async fn a_machine_that_is_no_peer_is_called_over_a_new_connection() {
    let (client, peer) = (client(), Server::start(usize::MAX).await);
    for asked in 1..3 {
        call(&client, Callee::Stranger("peer"), &[peer.address]).await.unwrap();
        assert_eq!(peer.accepted(), asked);
    }
}

#[tokio::test]
async fn a_kept_connection_that_turns_out_closed_is_replaced() {
    let (client, peer) = (client(), Server::start(1).await);
    for requests in [1, 3, 5] {
        ask(&client, &peer).await.unwrap();
        assert_eq!(peer.asked.load(Ordering::SeqCst), requests, "each was asked on the kept one");
    }
}

#[tokio::test]
async fn the_second_of_two_connections_at_once_is_closed_after_its_use() {
    let (client, peer) = (client(), Server::start(usize::MAX).await);
    peer.may_answer.forget_permits(1000);
    let ask_later = || {
        let (client, peer) = (client.clone(), Arc::clone(&peer));
        tokio::spawn(async move { ask(&client, &peer).await })
    };
    let both = [ask_later(), ask_later()];
    until(|| peer.asked.load(Ordering::SeqCst) == 2).await;
    peer.may_answer.add_permits(1000);
    for asking in both {
        asking.await.unwrap().unwrap();
    }
    until(|| peer.closed.load(Ordering::SeqCst) == 1).await;
    ask(&client, &peer).await.unwrap();
    assert_eq!(peer.accepted(), 2);
    assert!(client.closed.borrow().is_empty(), "we closed it");
}

#[tokio::test]
async fn an_answer_that_ends_its_connection_is_no_sign_that_the_peer_died() {
    let (client, peer) = (client(), Server::start(1).await);
    peer.says_that_it_closes.store(true, Ordering::SeqCst);
    for accepted in 1..=3 {
        ask(&client, &peer).await.unwrap();
        assert_eq!(peer.accepted(), accepted);
        until(|| peer.closed.load(Ordering::SeqCst) == accepted).await;
    }
    assert!(client.closed.borrow().is_empty());
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_an_error_and_no_reason_to_ask_again() {
    let (client, peer) = (client(), Server::start(0).await);
    let error = ask(&client, &peer).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { address, .. } if address == peer.address));
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn a_uri_holds_the_addresses() {
    let wanted: [SocketAddr; 2] =
        ["100.64.0.1:9100".parse().unwrap(), "[fd7a:115c:a1e0::1]:9100".parse().unwrap()];
    let uri = uri(&wanted).parse().unwrap();
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
        let error = call(&client(), Callee::Stranger("flood"), &[address]).await.unwrap_err();
        assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
        assert!(error.text().contains("head"), "{}", error.text());
        // The rest is what the buffers of both sides take.
        let sent = flooding.await.unwrap();
        assert!(sent < 64 * 1024 * 1024, "{sent} bytes");
    }
}
