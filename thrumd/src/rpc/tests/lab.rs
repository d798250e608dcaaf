use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use thrum_api::envelope::{self, Request};
use thrum_api::{DaemonId, ErrorCode, RpcError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use super::super::limits::Limits;
use super::super::listen::{self, Ears};
use super::super::surface::{Answer, not_authenticated};
use crate::ids;
use crate::tailnet::{Caller, Presence, TailnetError};

/// Knows one peer for each of two tokens, and answers `sync.pull` when it may go on.
pub(super) struct Double {
    pub(super) tokens: [(String, DaemonId); 2],
    pub(super) authenticated: AtomicUsize,
    pub(super) started: AtomicUsize,
    pub(super) finished: AtomicUsize,
    pub(super) go_on: Semaphore,
    pub(super) knows_callers: AtomicBool,
    /// No token is right any more.
    pub(super) removed: AtomicBool,
    /// Run whenever somebody is asked about.
    pub(super) on_whois: std::sync::OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// More than the system takes off us for a caller that reads nothing.
pub(super) const LARGE: usize = 32 * 1024 * 1024;

#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<Double>);

impl Answer for Shared {
    async fn whois(&self, remote: SocketAddr) -> Result<Caller, TailnetError> {
        if let Some(act) = self.0.on_whois.get() {
            act();
        }
        if !self.0.knows_callers.load(Ordering::SeqCst) {
            return Err(TailnetError::Stranger { remote });
        }
        Ok(Caller { address: remote, node: None })
    }

    async fn authenticate(&self, token: &str, _: &Caller) -> Result<DaemonId, RpcError> {
        let right = self.0.tokens.iter().find(|(right, _)| right == token);
        let right = right.filter(|_| !self.0.removed.load(Ordering::SeqCst));
        self.0.authenticated.fetch_add(1, Ordering::SeqCst);
        right.map(|(_, peer)| *peer).ok_or_else(not_authenticated)
    }

    fn is_still_right(&self, _: &str, _: &Caller) -> bool {
        !self.0.removed.load(Ordering::SeqCst)
    }

    async fn turn_away(&self, _: &str, _: &Caller) -> RpcError {
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
                Ok(envelope::response(id, Ok(&"x".repeat(LARGE))))
            }
            ("panic", Some(_)) => panic!("as asked"),
            _ => Err(RpcError::new(ErrorCode::METHOD_NOT_FOUND, "no such method")),
        }
    }
}

pub(super) struct Lab {
    pub(super) address: SocketAddr,
    pub(super) double: Arc<Double>,
    pub(super) presence: watch::Sender<Presence>,
    pub(super) bound: watch::Receiver<Vec<SocketAddr>>,
    pub(super) problem: watch::Receiver<Option<String>>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) task: tokio::task::JoinHandle<()>,
}

pub(super) fn up(addresses: &[&str]) -> Presence {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Presence::Up { addresses, hostname: "here".into() }
}

/// Limits that a test does not run into unless it sets them.
pub(super) fn patient() -> Limits {
    Limits { rebind: Duration::from_millis(10), ..Limits::default() }
}

pub(super) fn start(limits: Limits, port: u16) -> Lab {
    let token = || (ids::token().unwrap().expose().to_owned(), ids::daemon());
    let double = Arc::new(Double {
        tokens: [token(), token()],
        authenticated: AtomicUsize::new(0),
        started: AtomicUsize::new(0),
        finished: AtomicUsize::new(0),
        go_on: Semaphore::new(0),
        knows_callers: AtomicBool::new(true),
        removed: AtomicBool::new(false),
        on_whois: std::sync::OnceLock::new(),
    });
    let (presence, presence_seen) = watch::channel(up(&["127.0.0.1"]));
    let (bound_told, bound) = watch::channel(Vec::new());
    let (problem_told, problem) = watch::channel(None);
    let (stop, stop_seen) = watch::channel(false);
    let ears = Ears {
        presence: presence_seen,
        port,
        bound: bound_told,
        problem: problem_told,
        stop: stop_seen,
    };
    let task = tokio::spawn(listen::run(Shared(Arc::clone(&double)), limits, ears));
    let address = "127.0.0.1:0".parse().unwrap();
    Lab { address, double, presence, bound, problem, stop, task }
}

pub(super) async fn lab(limits: Limits) -> Lab {
    let mut lab = start(limits, 0);
    lab.address = soon(lab.bound.wait_for(|bound| !bound.is_empty())).await.unwrap()[0];
    lab
}

pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("in time")
}

pub(super) async fn until(mut done: impl FnMut() -> bool) {
    soon(async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
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

impl Lab {
    pub(super) fn token(&self) -> &str {
        &self.double.tokens[0].0
    }

    pub(super) async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address)).await.unwrap()
    }

    pub(super) async fn send(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        reply(&mut stream).await
    }

    /// A right request without a token in its header.
    pub(super) async fn call(&self, method: &str, params: &str) -> Reply {
        self.send(post("", &body(method, params))).await
    }

    /// A right request with the token in its header.
    pub(super) async fn call_as_peer(&self, method: &str) -> Reply {
        self.send(self.peer_post(method)).await
    }

    pub(super) fn peer_post(&self, method: &str) -> String {
        post(&bearer(self.token()), &body(method, "{}"))
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
