use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use thrum_api::envelope::{self, Request};
use thrum_api::{DaemonId, ErrorCode, RpcError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::super::limits::Limits;
use super::super::listen::{self, ListenerConfig};
use super::super::methods::{Handler, not_authenticated};
use crate::backoff::ExponentialBackoff;
use crate::ids;
use crate::tailnet::{Caller, Presence, TailnetError};
pub(super) use crate::testing::{soon, until};

/// Knows one peer for each of three tokens, and answers `sync.pull` when it may go on.
pub(super) struct FakeHandler {
    pub(super) tokens: [(String, DaemonId); 3],
    pub(super) authenticated: AtomicUsize,
    pub(super) started: AtomicUsize,
    pub(super) finished: AtomicUsize,
    pub(super) go_on: Semaphore,
    pub(super) knows_callers: AtomicBool,
    /// Set once no token is valid.
    pub(super) removed: AtomicBool,
    /// The next token is found valid, and then none is before that is known.
    pub(super) removed_meanwhile: AtomicBool,
    /// Changes when peers come or go.
    pub(super) peers: watch::Sender<u64>,
    /// Runs at each `whois`.
    pub(super) on_whois: std::sync::OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// Bytes of a large answer: more than kernel buffers take while the caller reads nothing.
pub(super) static LARGE: LazyLock<usize> = LazyLock::new(|| {
    let limits = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").unwrap();
    let send_buffer: usize = limits.split_whitespace().last().unwrap().parse().unwrap();
    2 * send_buffer + 4 * 1024 * 1024
});

impl FakeHandler {
    /// Removes the peers, and tells the connections.
    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::SeqCst);
        self.peers.send_modify(|count| *count += 1);
    }
}

#[derive(Clone)]
pub(super) struct SharedHandler(pub(super) Arc<FakeHandler>);

impl Handler for SharedHandler {
    async fn whois(&self, remote: SocketAddr) -> Result<Caller, TailnetError> {
        if let Some(act) = self.0.on_whois.get() {
            act();
        }
        if !self.0.knows_callers.load(Ordering::SeqCst) {
            return Err(TailnetError::UnknownCaller { remote });
        }
        Ok(Caller { address: remote, node: None })
    }

    async fn authenticate(&self, token: &str, _: &Caller) -> Result<DaemonId, RpcError> {
        let right = self.0.tokens.iter().find(|(right, _)| right == token);
        let right = right.filter(|_| !self.0.removed.load(Ordering::SeqCst));
        self.0.authenticated.fetch_add(1, Ordering::SeqCst);
        if self.0.removed_meanwhile.swap(false, Ordering::SeqCst) {
            self.0.remove();
            tokio::task::yield_now().await;
        }
        right.map(|(_, peer)| *peer).ok_or_else(not_authenticated)
    }

    fn is_still_valid(&self, _: &str, _: &Caller) -> bool {
        !self.0.removed.load(Ordering::SeqCst)
    }

    fn is_peer(&self, _: DaemonId) -> bool {
        !self.0.removed.load(Ordering::SeqCst)
    }

    fn peers(&self) -> watch::Receiver<u64> {
        self.0.peers.subscribe()
    }

    async fn refuse(&self, _: &str, _: &Caller) -> RpcError {
        not_authenticated()
    }

    async fn answer(
        &self,
        _: &Caller,
        peer: Option<DaemonId>,
        request: &Request<'_>,
    ) -> Result<Vec<u8>, RpcError> {
        let id = request.id.as_ref();
        match (&*request.method, peer) {
            ("pair.request", _) => Err(RpcError::new(ErrorCode::NO_PAIRING_SESSION, "none")),
            ("sync.peer_info", Some(peer)) => Ok(envelope::response(id, Ok(&peer))),
            ("sync.pull", Some(_)) => {
                self.0.started.fetch_add(1, Ordering::SeqCst);
                self.0.go_on.acquire().await.unwrap().forget();
                self.0.finished.fetch_add(1, Ordering::SeqCst);
                Ok(envelope::response(id, Ok(&"page")))
            }
            ("large", Some(_)) => {
                self.0.finished.fetch_add(1, Ordering::SeqCst);
                Ok(envelope::response(id, Ok(&"x".repeat(*LARGE))))
            }
            ("panic", Some(_)) => panic!("as asked"),
            _ => Err(RpcError::new(ErrorCode::METHOD_NOT_FOUND, "no such method")),
        }
    }
}

pub(super) struct Harness {
    pub(super) address: SocketAddr,
    pub(super) handler: Arc<FakeHandler>,
    pub(super) presence: watch::Sender<Presence>,
    pub(super) bound: watch::Receiver<Vec<SocketAddr>>,
    pub(super) problem: watch::Receiver<Option<String>>,
    pub(super) stop: CancellationToken,
    pub(super) task: tokio::task::JoinHandle<()>,
}

pub(super) fn up(addresses: &[&str]) -> Presence {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Presence::Up { addresses, hostname: "here".into() }
}

/// Limits that a test does not run into unless it sets them.
pub(super) fn patient() -> Limits {
    let rebind = ExponentialBackoff::new(Duration::from_millis(10), Duration::from_millis(10), 0);
    Limits { rebind, ..Limits::within(1024) }
}

pub(super) fn start(limits: Limits, port: u16) -> Harness {
    let token = || (ids::token().unwrap().expose().to_owned(), crate::testing::daemon());
    let handler = Arc::new(FakeHandler {
        tokens: [token(), token(), token()],
        authenticated: AtomicUsize::new(0),
        started: AtomicUsize::new(0),
        finished: AtomicUsize::new(0),
        go_on: Semaphore::new(0),
        knows_callers: AtomicBool::new(true),
        removed: AtomicBool::new(false),
        removed_meanwhile: AtomicBool::new(false),
        peers: watch::Sender::new(0),
        on_whois: std::sync::OnceLock::new(),
    });
    let (presence, presence_receiver) = watch::channel(up(&["127.0.0.1"]));
    let (bound_sender, bound) = watch::channel(Vec::new());
    let (problem_sender, problem) = watch::channel(None);
    let stop = CancellationToken::new();
    let config = ListenerConfig {
        presence: presence_receiver,
        port,
        bound: bound_sender,
        problem: problem_sender,
        stop: stop.clone(),
        metrics: Arc::default(),
    };
    let task = tokio::spawn(listen::run(SharedHandler(Arc::clone(&handler)), limits, config));
    let address = "127.0.0.1:0".parse().unwrap();
    Harness { address, handler, presence, bound, problem, stop, task }
}

pub(super) async fn harness(limits: Limits) -> Harness {
    let mut harness = start(limits, 0);
    harness.address = soon(harness.bound.wait_for(|bound| !bound.is_empty())).await.unwrap()[0];
    harness
}

/// Advances the clock of timers without waiting.
pub(super) async fn advance(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Sockets of the server at a port, by the system's own list: those with a file of the process. The
/// system may list one twice when others end meanwhile.
pub(super) fn accepted(port: u16) -> usize {
    let inodes: BTreeSet<_> = connections(port).into_iter().collect();
    inodes.iter().filter(|inode| *inode != "0").count()
}

/// Connections to a port that the server has not accepted: they have no inode yet.
pub(super) fn waiting(port: u16) -> usize {
    connections(port).iter().filter(|inode| *inode == "0").count()
}

fn connections(port: u16) -> Vec<String> {
    const ESTABLISHED: &str = "01";
    // The caller has closed its side; the server has not.
    const CLOSE_WAIT: &str = "08";
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let here = format!(":{port:04X}");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 9 && row[1].ends_with(&here))
        .filter(|row| [ESTABLISHED, CLOSE_WAIT].contains(&row[3]))
        .map(|row| row[9].to_owned())
        .collect()
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: serde_json::Value,
}

impl Reply {
    pub(super) fn code(&self) -> i64 {
        self.body["error"]["code"].as_i64().unwrap_or(0)
    }
}

impl Harness {
    pub(super) fn token(&self) -> &str {
        &self.handler.tokens[0].0
    }

    pub(super) async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address)).await.unwrap()
    }

    pub(super) async fn send(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        reply(&mut stream).await
    }

    /// A valid request without a token in its header.
    pub(super) async fn call(&self, method: &str, params: &str) -> Reply {
        self.send(post("", &body(method, params))).await
    }

    /// A valid request with the token in its header.
    pub(super) async fn call_as_peer(&self, method: &str) -> Reply {
        self.send(self.peer_post(method)).await
    }

    /// Asks on this connection with the token, and is answered.
    pub(super) async fn ask_on(&self, stream: &mut TcpStream) {
        self.ask_as(0, stream).await;
    }

    /// The same with the token of this peer.
    pub(super) async fn ask_as(&self, peer: usize, stream: &mut TcpStream) {
        stream.write_all(self.post_as(peer, "sync.peer_info").as_bytes()).await.unwrap();
        assert_eq!(reply(stream).await.status, 200);
    }

    /// A connection on which a peer was answered.
    pub(super) async fn connect_peer(&self) -> TcpStream {
        self.connect_as(0).await
    }

    /// A connection on which this peer was answered.
    pub(super) async fn connect_as(&self, peer: usize) -> TcpStream {
        let mut stream = self.connect().await;
        self.ask_as(peer, &mut stream).await;
        stream
    }

    /// A connection with a request of a peer, which is answered when `go_on` permits.
    pub(super) async fn begin_pull(&self) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(self.peer_post("sync.pull").as_bytes()).await.unwrap();
        stream
    }

    pub(super) fn peer_post(&self, method: &str) -> String {
        self.post_as(0, method)
    }

    pub(super) fn post_as(&self, peer: usize, method: &str) -> String {
        post(&bearer(&self.handler.tokens[peer].0), &body(method, "{}"))
    }
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(super) fn body(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

pub(super) fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// Reads one answer.
pub(super) async fn reply(stream: &mut TcpStream) -> Reply {
    soon(try_reply(stream)).await.expect("an answer")
}

pub(super) async fn try_reply(stream: &mut TcpStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
            break (head.to_owned(), length.map_or(0, |length| length.parse::<usize>().unwrap()));
        }
        if !more(stream, &mut bytes).await {
            return None;
        }
    };
    let start = head.len() + 4;
    while bytes.len() < start + length {
        assert!(more(stream, &mut bytes).await, "the answer broke off");
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = serde_json::from_slice(&bytes[start..start + length]).unwrap_or_default();
    Some(Reply { status, head, body })
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 4096];
    match stream.read(&mut chunk).await {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            bytes.extend_from_slice(&chunk[..count]);
            true
        }
    }
}

/// Waits until the other side has closed the connection.
pub(super) async fn closed(stream: &mut TcpStream) {
    let mut waste = [0; 4096];
    soon(async { while let Ok(1..) = stream.read(&mut waste).await {} }).await;
}
