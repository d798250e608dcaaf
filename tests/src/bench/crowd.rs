//! A crowd of peers of one daemon, played by one thread: honest, over real HTTP, and nearly free.

use crate::harness::pair_request;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use thrumd::keys::SecretKey;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use thrum_api::peer::{
    NotifyParams, PairRequest, PeerInfoParams, PullPage, PullParams, SyncNotify, SyncPeerInfo,
    SyncPull,
};
use thrum_api::{DaemonId, LogHash, LogPosition, Sequence, Token, envelope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::connection::{post, read_answer};
use crate::harness::{Daemon, Origin};

const LIMIT: Duration = Duration::from_secs(60);

/// Peers of a daemon. The first one also writes events; the others only take.
pub(super) struct Crowd {
    peers: Vec<Arc<Peer>>,
    author: Author,
    traffic: Arc<Traffic>,
}

/// What went over the connections between the crowd and the daemon.
#[derive(Default)]
struct Traffic {
    bytes: AtomicU64,
    requests: AtomicU64,
}

/// One peer that takes what the daemon has.
struct Peer {
    id: DaemonId,
    hub: SocketAddr,
    token: Token,
    address: SocketAddr,
    traffic: Arc<Traffic>,
    /// Up to where it holds the daemon's log.
    held: AtomicU64,
    /// The same with the event there, and the connection for pulls.
    checkpoint: Mutex<(LogPosition, Option<TcpStream>)>,
    /// Its connection for pulls stays open. A daemon has seats for 224 of them.
    keeps: bool,
    /// What the daemon has is its own: it takes nothing.
    writes: bool,
}

/// The peer whose events the daemon relays.
struct Author {
    origin: Origin,
    latest: LogPosition,
    hub: SocketAddr,
    connection: std::net::TcpStream,
    token: Token,
}

#[derive(Deserialize)]
struct Request<'a> {
    method: &'a str,
    params: Told,
}

/// What matters of the params of any method.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    latest_seq: Sequence,
    latest_hash: Option<LogHash>,
    after_seq: Option<Sequence>,
    runs: Option<Vec<ToldRun>>,
}

/// Of a run, how many events it has.
#[derive(Deserialize)]
struct ToldRun {
    events: Vec<IgnoredAny>,
}

impl Crowd {
    /// Pairs so many with a daemon that has none yet.
    pub(super) fn join(daemon: &Daemon, count: usize) -> Self {
        let traffic = Arc::<Traffic>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let serving = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        let origin = Origin::new();
        let join = |number| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let other = || Arc::new(SecretKey::generate().expect("random bytes"));
            let key = if number == 0 { origin.key() } else { other() };
            let peer =
                Arc::new(Peer::join(daemon, &listener, (&key, number), Arc::clone(&traffic)));
            serving.spawn(Arc::clone(&peer).listen(listener));
            peer
        };
        let peers: Vec<_> = (0..count).map(join).collect();
        let author = Author::new(daemon, &peers[0], origin);
        Self { peers, author, traffic }
    }

    /// Waits until all hold the daemon's log up to there.
    pub(super) fn wait_for(&self, sequence: Sequence) {
        let begun = Instant::now();
        loop {
            let behind = |peer: &&Arc<Peer>| peer.held.load(Ordering::Relaxed) < sequence.0;
            let behind = self.peers.iter().filter(|peer| !peer.writes).filter(behind).count();
            if behind == 0 {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{behind} peers don't hold {sequence}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// One of them writes an event and tells the daemon.
    pub(super) fn write(&mut self, number: usize) {
        self.author.write(number);
    }

    /// Bytes and requests so far, both ways.
    pub(super) fn traffic(&self) -> (u64, u64) {
        let Traffic { bytes, requests } = &*self.traffic;
        (bytes.load(Ordering::Relaxed), requests.load(Ordering::Relaxed))
    }

    /// Where each of them listens, for what a bare request costs.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.peers.iter().map(|peer| peer.address)
    }
}

impl Peer {
    fn join(
        daemon: &Daemon,
        listener: &std::net::TcpListener,
        (key, number): (&SecretKey, usize),
        traffic: Arc<Traffic>,
    ) -> Self {
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (id, code) = (key.id(), Some(daemon.open_pairing().code));
        let (name, addr) = (format!("peer-{number}"), address.to_string());
        let params = pair_request(daemon, key, code, &name, &addr);
        let paired = daemon.stranger().call::<PairRequest>(&params).expect("to be paired");
        // The first request with the token completes the pairing.
        let caller = daemon.stranger().with_token(paired.token.clone());
        caller.call::<SyncPeerInfo>(&PeerInfoParams::default()).expect("to be known");
        Self {
            id,
            hub: daemon.peer_address(),
            token: paired.token,
            address,
            traffic,
            held: AtomicU64::new(0),
            checkpoint: Mutex::new((LogPosition::START, None)),
            keeps: number < 150,
            writes: number == 0,
        }
    }

    async fn listen(self: Arc<Self>, listener: std::net::TcpListener) {
        let listener = TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(Arc::clone(&self).serve(stream));
        }
    }

    /// Answers until the other side closes.
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        while let Ok((head, body)) = receive(&mut stream).await {
            let Ok(request) = serde_json::from_slice::<Request<'_>>(&body) else { return };
            let (result, pulls) = self.answer(&request).await;
            let answer = answer_of(&result);
            self.count(head + body.len() + answer.len());
            if stream.write_all(&answer).await.is_err() {
                return;
            }
            if pulls {
                tokio::spawn(Arc::clone(&self).pull(request.params.latest_seq));
            }
        }
    }

    /// What it answers, and whether it pulls then.
    async fn answer(&self, request: &Request<'_>) -> (serde_json::Value, bool) {
        let empty = json!({
            "runs": [], "next_seq": 0, "more_available": false, "head_seq": 0, "floor_seq": 0,
        });
        let info = json!({
            "id": self.id, "name": "peer", "version": "0.0.1",
            "epoch": "00000000000000000000000001", "head_seq": 0,
        });
        match request.method {
            "sync.pull" => (empty, false),
            "sync.peer_info" => (info, false),
            _ => {
                let (held, pulls) = self.take(&request.params).await;
                (json!({ "held_seq": held }), pulls)
            }
        }
    }

    /// Takes a notification's events: up to where it holds the daemon's log then, and whether it must pull.
    async fn take(&self, told: &Told) -> (Sequence, bool) {
        let (checkpoint, _) = &mut *self.checkpoint.lock().await;
        let lacking = told.latest_seq.0.saturating_sub(checkpoint.sequence.0);
        let runs = told.runs.iter().flatten();
        let events = runs.map(|run| run.events.len() as u64).sum::<u64>();
        let whole = told.after_seq == Some(checkpoint.sequence) && events == lacking;
        if whole || self.writes {
            *checkpoint = LogPosition { sequence: told.latest_seq, hash: told.latest_hash };
            self.held.fetch_max(told.latest_seq.0, Ordering::Relaxed);
        }
        (checkpoint.sequence, checkpoint.sequence < told.latest_seq)
    }

    /// Pulls up to there, one pull at a time.
    async fn pull(self: Arc<Self>, latest: Sequence) {
        let (checkpoint, connection) = &mut *self.checkpoint.lock().await;
        while checkpoint.sequence < latest {
            let page = match self.page(connection, *checkpoint).await {
                Ok(page) => page,
                // The daemon has too many connections.
                Err(_) => {
                    *connection = None;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            *checkpoint = page.next();
            self.held.fetch_max(page.next_seq.0, Ordering::Relaxed);
        }
        connection.take_if(|_| !self.keeps);
    }

    async fn page(
        &self,
        connection: &mut Option<TcpStream>,
        after: LogPosition,
    ) -> std::io::Result<PullPage> {
        if connection.is_none() {
            let stream = TcpStream::connect(self.hub).await?;
            stream.set_nodelay(true)?;
            *connection = Some(stream);
        }
        let stream = connection.as_mut().expect("a connection");
        let request = envelope::request::<SyncPull>(1, &PullParams::of(after)).unwrap();
        let request = post(&request, Some(&self.token));
        stream.write_all(&request).await?;
        let (head, body) = receive(stream).await?;
        self.count(request.len() + head + body.len());
        envelope::answer(&body).map_err(|error| std::io::Error::other(format!("{error:?}")))
    }

    fn count(&self, bytes: usize) {
        self.traffic.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.traffic.requests.fetch_add(1, Ordering::Relaxed);
    }
}

impl Author {
    fn new(daemon: &Daemon, peer: &Peer, origin: Origin) -> Self {
        let (hub, latest) = (daemon.peer_address(), LogPosition::START);
        Self { origin, latest, hub, connection: connect(hub), token: peer.token.clone() }
    }

    fn write(&mut self, number: usize) {
        let before = self.latest;
        let body = super::bootstrap::body(number).to_string();
        let text = self.origin.draft(&body).replace("test.note", "message.sent");
        let event = self.origin.write(text);
        let sequence = Sequence(event.sequence);
        // Nobody but its author computes the hash of a log: any number will do.
        self.latest = LogPosition { sequence, hash: Some(LogHash(sequence.0)) };
        let params = NotifyParams {
            after_seq: Some(before.sequence),
            after_hash: before.hash,
            heads: Some(vec![event.head]),
            runs: Some(vec![self.origin.run(&[event])]),
            ..NotifyParams::of(self.origin.id(), self.latest)
        };
        let request = envelope::request::<SyncNotify>(1, &params).unwrap();
        let request = post(&request, Some(&self.token));
        // The daemon closes what was idle for longest when it has too many connections.
        let answer = self.ask(&request).or_else(|_| {
            self.connection = connect(self.hub);
            self.ask(&request)
        });
        let answer = answer.expect("an answer");
        let notified = envelope::answer::<thrum_api::peer::Notified>(&answer).expect("taken");
        assert_eq!(notified.held_seq, self.latest.sequence, "the daemon did not take the event");
    }

    fn ask(&mut self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        self.connection.write_all(request)?;
        read_answer(&mut self.connection)
    }
}

fn connect(to: SocketAddr) -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect(to).expect("a connection");
    stream.set_nodelay(true).unwrap();
    stream
}

/// The answer to a request of any method.
fn answer_of(result: &serde_json::Value) -> Vec<u8> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The length of the head and the body of the next request or answer.
async fn receive(stream: &mut TcpStream) -> std::io::Result<(usize, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(2048);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let headers: BTreeMap<_, _> =
                head.lines().filter_map(|line| line.split_once(": ")).collect();
            let length =
                headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
            let mut body = bytes.split_off(end + 4);
            let begun = body.len();
            body.resize(length, 0);
            if begun < length {
                stream.read_exact(&mut body[begun..]).await?;
            }
            return Ok((end + 4, body));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
