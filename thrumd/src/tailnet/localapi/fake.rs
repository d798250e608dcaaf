//! Fake tailscaled for tests: the LocalAPI on a real Unix socket, with recorded answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// Answers by endpoint and query (`status`, `whois?...`); others are 404.
#[derive(Default)]
struct Answers(BTreeMap<String, (u16, String)>);

#[derive(Clone)]
struct Shared {
    answers: Arc<Mutex<Answers>>,
    requests: Arc<Mutex<Vec<String>>>,
    updates: broadcast::Sender<Option<String>>,
}

pub(crate) struct Fake {
    dir: tempfile::TempDir,
    shared: Shared,
    server: Option<JoinHandle<()>>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let shared = Shared {
            answers: Arc::default(),
            requests: Arc::default(),
            updates: broadcast::Sender::new(64),
        };
        let mut fake = Self { dir: tempfile::tempdir().unwrap(), shared, server: None };
        fake.up();
        fake
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("ts.sock")
    }

    pub(crate) fn up(&mut self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let app = axum::Router::new().fallback(answer).with_state(self.shared.clone());
        self.server = Some(tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }));
    }

    /// As when tailscaled is killed: open streams end, the socket file stays and refuses connections.
    pub(crate) fn down(&mut self) {
        self.server.take().unwrap().abort();
        drop(self.shared.updates.send(None));
    }

    pub(crate) fn remove_socket(&self) {
        std::fs::remove_file(self.socket()).unwrap();
    }

    pub(crate) fn set(&self, query: &str, code: u16, body: impl Into<String>) {
        self.shared.answers.lock().unwrap().0.insert(query.to_owned(), (code, body.into()));
    }

    /// Sets `status` and announces a change.
    pub(crate) fn status(&self, body: &serde_json::Value) {
        self.set("status", 200, body.to_string());
        self.update("{\"Version\":\"1\"}\n");
    }

    pub(crate) fn update(&self, text: &str) {
        drop(self.shared.updates.send(Some(text.to_owned())));
    }

    /// The requests since the last call, `METHOD endpoint?query`.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap())
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

async fn answer(State(shared): State<Shared>, mut request: Request) -> Response {
    let plain = |code, text: String| {
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        response
    };
    let headers = request.headers();
    let foreign = headers.contains_key("origin") || headers.contains_key("referer");
    if headers["host"] != "local-tailscaled.sock" || foreign {
        return plain(403, "invalid localapi request\n".to_owned());
    }
    let uri = request.uri().to_string();
    let query = uri.strip_prefix("/localapi/v0/").unwrap_or("?").to_owned();
    shared.requests.lock().unwrap().push(format!("{} {query}", request.method()));
    if let Some(mask) = query.strip_prefix("watch-ipn-bus?mask=") {
        if let Some((code, text)) = shared.answers.lock().unwrap().0.get(&format!("mask={mask}")) {
            return plain(*code, text.clone());
        }
        let updates = shared.updates.subscribe();
        let first = futures_util::stream::iter([Ok(Bytes::from("{\"State\":6}\n"))]);
        let later = futures_util::stream::unfold(updates, |mut updates| async {
            let text = updates.recv().await.ok()??;
            Some((Ok::<_, std::io::Error>(Bytes::from(text)), updates))
        });
        return Response::new(Body::from_stream(first.chain(later)));
    }
    if query == "dial" && request.headers()["dial-port"] != "1" {
        let to = request.headers()["dial-host"].to_str().unwrap().to_owned();
        let port: u16 = request.headers()["dial-port"].to_str().unwrap().parse().unwrap();
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            if to == "127.0.0.1" {
                let mut there = tokio::net::TcpStream::connect((&*to, port)).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut stream, &mut there).await);
                return;
            }
            stream.write_all(format!("hello from {to}").as_bytes()).await.unwrap();
            let (mut from, mut into) = tokio::io::split(stream);
            tokio::io::copy(&mut from, &mut into).await.unwrap();
        });
        return Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "ts-dial")
            .body(Body::empty())
            .unwrap();
    }
    let answers = shared.answers.lock().unwrap();
    // The ports of callers are not known beforehand: `whois 127.0.0.3` answers for every port.
    let of_address = query.strip_prefix("whois?proto=tcp&addr=").and_then(|address| {
        let (ip, _) = address.rsplit_once("%3A")?;
        answers.0.get(&format!("whois {ip}"))
    });
    match answers.0.get(&query).or(of_address) {
        Some((code, text)) => plain(*code, text.clone()),
        None => plain(404, "no match for IP:port\n".to_owned()),
    }
}
