//! A whole daemon in this process, and a caller on its socket.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::admin::AdminContext;
use crate::config::{Config, Flags, HostInfo, Layers};
use crate::service::{Daemon, ServiceError};

/// Time limit of each wait; nothing takes that long.
pub const LIMIT: Duration = Duration::from_secs(20);

pub struct Running {
    pub dir: tempfile::TempDir,
    pub socket: PathBuf,
    pub context: Arc<AdminContext>,
    task: JoinHandle<()>,
}

pub fn config(dir: &tempfile::TempDir, env: &[(&str, &str)]) -> Config {
    let machine_id = dir.path().join("machine-id");
    if !machine_id.exists() {
        std::fs::write(&machine_id, "0123\n").unwrap();
    }
    let mut map: BTreeMap<&str, OsString> = BTreeMap::new();
    map.insert("THRUM_STATE_DIR", dir.path().join("state").into());
    map.insert("THRUM_MACHINE_ID_FILE", machine_id.into());
    map.insert("THRUM_TAILNET", "loopback".into());
    map.insert("THRUM_TS_PORT", "0".into());
    map.insert("THRUM_TS_HOSTNAME", "my-laptop".into());
    map.extend(env.iter().map(|(name, text)| (*name, OsString::from(text))));
    let machine = HostInfo { root: false, home: None, hostname: "box".into() };
    let layers = Layers::collect(&Flags::default(), &|name| map.get(name).cloned(), &machine);
    Config::parse(&layers.unwrap()).unwrap()
}

impl Running {
    pub async fn start(env: &[(&str, &str)]) -> Self {
        // Not in TMPDIR, which may be another user's: as root, a reset follows no way through that.
        Self::start_in(tempfile::tempdir_in("/tmp").unwrap(), env).await.unwrap()
    }

    pub async fn start_in(
        dir: tempfile::TempDir,
        env: &[(&str, &str)],
    ) -> Result<Self, ServiceError> {
        let config = config(&dir, env);
        let socket = config.socket.clone();
        let daemon = Daemon::start(config, None).await?;
        let context = daemon.context();
        Ok(Self { dir, socket, context, task: tokio::spawn(daemon.run()) })
    }

    /// Waits for the end and gives the directory back.
    pub async fn ended(self) -> tempfile::TempDir {
        tokio::time::timeout(LIMIT, self.task).await.expect("the daemon ends").unwrap();
        self.dir
    }

    pub async fn stopped(self) -> tempfile::TempDir {
        self.context.stop.cancel();
        self.ended().await
    }

    pub async fn request(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let answer = tokio::time::timeout(LIMIT, sender.send_request(request));
        answer.await.expect("an answer in time").unwrap()
    }

    pub async fn post(&self, body: impl Into<Bytes>) -> (StatusCode, Value) {
        let request = Request::post("http://thrumd/rpc")
            .header("content-type", "application/json")
            .body(Full::new(body.into()))
            .unwrap();
        read(self.request(request).await).await
    }

    /// The whole answer, with `result` or `error`.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post(body.to_string()).await.1
    }

    pub async fn result(&self, method: &str, params: Value) -> Value {
        let mut answer = self.call(method, params).await;
        assert!(answer.get("result").is_some(), "{method}: {answer}");
        answer["result"].take()
    }

    pub async fn get(&self, path: &str) -> Response<Incoming> {
        let uri = format!("http://thrumd{path}");
        self.request(Request::get(uri).body(Full::default()).unwrap()).await
    }
}

pub async fn read(response: Response<Incoming>) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}
