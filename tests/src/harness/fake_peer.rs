use super::pair_request;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use thrumd::keys::SecretKey;

use serde_json::{Value, json};
use thrum_api::peer::{PairRequest, PeerInfoParams, PullPage, SyncPeerInfo};
use thrum_api::{DaemonId, Token};

use super::{Daemon, PeerCaller, eventually, http};

/// What a fake peer answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A result.
    Result(Value),
    /// A page with the bytes of its events as they are, which a [`Value`] would write anew.
    Page(Box<PullPage>),
    /// An error with this code.
    Error(i32),
    /// Any body, with this status and content type.
    Raw(u16, &'static str, Vec<u8>),
    /// A gibibyte of spaces, as fast as it is taken.
    Endless,
    /// Nothing, and the connection stays open.
    Never,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its method.
    pub method: String,
    /// Its params.
    pub params: Value,
    /// Its `Authorization` header.
    pub authorization: Option<String>,
}

type Script = dyn FnMut(&Heard) -> Option<Answer> + Send;

struct Shared {
    id: DaemonId,
    key: Arc<SecretKey>,
    stop: AtomicBool,
    heard: Mutex<Vec<Heard>>,
    script: Mutex<Box<Script>>,
}

/// A peer that the test plays: it speaks the protocol and answers as it is told.
///
/// Without a script it is an honest peer with an empty log.
pub struct FakePeer {
    shared: Arc<Shared>,
    address: SocketAddr,
    token: Option<Token>,
}

impl FakePeer {
    /// A peer that answers as the script says; where the script says None, honestly.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn new(script: impl FnMut(&Heard) -> Option<Answer> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let key = Arc::new(SecretKey::generate().unwrap());
        let shared = Arc::new(Shared {
            id: key.id(),
            key,
            stop: AtomicBool::new(false),
            heard: Mutex::default(),
            script: Mutex::new(Box::new(script)),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { shared, address, token: None }
    }

    /// An honest peer with an empty log.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn honest() -> Self {
        Self::new(|_| None)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its daemon id.
    pub fn id(&self) -> DaemonId {
        self.shared.id
    }

    /// Its key.
    pub fn key(&self) -> Arc<SecretKey> {
        Arc::clone(&self.shared.key)
    }

    /// Pairs with a daemon by joining it.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn joins(&mut self, daemon: &Daemon) {
        let code = daemon.open_pairing().code;
        let addr = self.address.to_string();
        let params = pair_request(daemon, &self.shared.key, Some(code), "fake", &addr);
        let paired = daemon
            .stranger()
            .call::<PairRequest>(&params)
            .unwrap_or_else(|error| panic!("pair.request: {error}"));
        self.token = Some(paired.token);
        self.caller(daemon)
            .call::<SyncPeerInfo>(&PeerInfoParams::default())
            .unwrap_or_else(|error| panic!("first request with the token: {error}"));
    }

    /// This peer, calling the daemon with its token.
    ///
    /// # Panics
    /// Before [`Self::joins`].
    pub fn caller(&self, daemon: &Daemon) -> PeerCaller {
        daemon.stranger().with_token(self.token().clone())
    }

    /// Its token.
    ///
    /// # Panics
    /// Before [`Self::joins`].
    pub fn token(&self) -> &Token {
        self.token.as_ref().expect("a paired peer")
    }

    /// Every request that came so far.
    ///
    /// # Panics
    /// When a script panicked.
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// Waits until this method was called this often.
    ///
    /// # Panics
    /// When it isn't.
    #[track_caller]
    pub fn hears(&self, limit: Duration, method: &str, times: usize) {
        eventually(limit, || {
            let count = self.heard().iter().filter(|heard| heard.method == method).count();
            super::holds(count >= times, || format!("{method} came {count} of {times} times"))
        });
    }
}

impl Drop for FakePeer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        let _woken = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let _ended = self.answer_all(&mut stream);
    }

    fn answer_all(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        loop {
            let (head, rest) = http::read_head(stream)?;
            let headers = http::parse_headers(head.split("\r\n").skip(1));
            let body = http::read_sized(&mut rest.as_slice().chain(&mut *stream), &headers)?;
            let request: Value = serde_json::from_slice(&body)?;
            let heard = Heard {
                method: request["method"].as_str().unwrap_or_default().to_owned(),
                params: request["params"].clone(),
                authorization: headers.get("authorization").cloned(),
            };
            self.heard.lock().unwrap().push(heard.clone());
            let told = (self.script.lock().unwrap())(&heard);
            let (status, kind, body) = match told.unwrap_or_else(|| self.honest(&heard)) {
                Answer::Result(result) => ok(&json!({"result": result}), &request),
                Answer::Error(code) => {
                    // A refusal says which daemon it is.
                    let (message, data) = ("as the test says", json!({"id": self.id}));
                    let error = json!({"code": code, "message": message, "data": data});
                    ok(&json!({"error": error}), &request)
                }
                Answer::Page(page) => {
                    let (id, page) = (&request["id"], serde_json::to_string(&page)?);
                    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{page}}}"#);
                    (200, "application/json", body.into_bytes())
                }
                Answer::Raw(status, kind, body) => (status, kind, body),
                Answer::Endless => return flood(stream),
                // Until the other side closes.
                Answer::Never => return std::io::copy(stream, &mut std::io::sink()).map(drop),
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body)?;
        }
    }

    fn honest(&self, heard: &Heard) -> Answer {
        Answer::Result(match heard.method.as_str() {
            "sync.peer_info" => json!({
                "id": self.id, "name": "fake", "version": "0.0.1",
                "epoch": "00000000000000000000000001", "head_seq": 0,
            }),
            "sync.pull" => json!({
                "runs": [], "next_seq": 0, "more_available": false, "head_seq": 0, "floor_seq": 0,
            }),
            "sync.notify" => json!({"held_seq": heard.params["latest_seq"]}),
            _ => return Answer::Error(-32601),
        })
    }
}

fn flood(stream: &mut TcpStream) -> std::io::Result<()> {
    const BYTES: usize = 1 << 30;
    let head =
        format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {BYTES}");
    stream.write_all(format!("{head}\r\n\r\n").as_bytes())?;
    let block = vec![b' '; 1 << 16];
    (0..BYTES / block.len()).try_for_each(|_| stream.write_all(&block))
}

fn ok(outcome: &Value, request: &Value) -> (u16, &'static str, Vec<u8>) {
    let mut answer = outcome.clone();
    answer["jsonrpc"] = "2.0".into();
    answer["id"] = request["id"].clone();
    (200, "application/json", answer.to_string().into_bytes())
}
