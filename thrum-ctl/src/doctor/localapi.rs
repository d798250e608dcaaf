//! What the machine's tailscaled says of itself, asked without the service.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;

use super::command::output;

const SOCKET: &str = if cfg!(target_os = "macos") {
    "/var/run/tailscaled.socket"
} else {
    "/run/tailscale/tailscaled.sock"
};
const LIMIT: Duration = Duration::from_secs(5);

/// How it stands with tailscaled.
#[derive(Debug)]
pub enum Tailscaled {
    /// No socket, and no program either.
    NotInstalled,
    /// A program, and no socket or nobody behind it.
    NotRunning,
    /// Not for us.
    NoPermission,
    /// It is there and does not answer as it should.
    NoAnswer(String),
    /// Its words.
    Says(Status),
}

/// The members of its status that count here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Status {
    /// Its version.
    pub version: String,
    /// `Running`, `NeedsLogin`, `Stopped` ...
    pub backend_state: String,
}

/// Asks it: at this socket, else where the platform has it, else through `tailscale`.
pub async fn tailscaled(socket: Option<&Path>) -> Tailscaled {
    let path = socket.unwrap_or(Path::new(SOCKET));
    let answer = tokio::time::timeout(LIMIT, status_at(path)).await;
    let answer = answer.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    let error = match answer {
        Ok(body) => return understood(&body),
        Err(error) => error,
    };
    let gone = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
    // The apps of macOS have no socket; their program knows the way.
    if socket.is_none()
        && gone
        && let Some(answer) = output("tailscale", &["status", "--json"]).await
        && answer.ok
    {
        return understood(answer.stdout.as_bytes());
    }
    match error.kind() {
        ErrorKind::PermissionDenied => Tailscaled::NoPermission,
        _ if gone && installed() => Tailscaled::NotRunning,
        _ if gone => Tailscaled::NotInstalled,
        _ => Tailscaled::NoAnswer(error.to_string()),
    }
}

fn understood(body: &[u8]) -> Tailscaled {
    match serde_json::from_slice(body) {
        Ok(status) => Tailscaled::Says(status),
        Err(error) => Tailscaled::NoAnswer(format!("its status is not understood: {error}")),
    }
}

async fn status_at(socket: &Path) -> std::io::Result<Bytes> {
    let stream = UnixStream::connect(socket).await?;
    let other = |error: hyper::Error| std::io::Error::other(error);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(other)?;
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::get("/localapi/v0/status?peers=false")
        .header(HOST, "local-tailscaled.sock")
        .body(Empty::<Bytes>::new())
        .map_err(std::io::Error::other)?;
    let response = sender.send_request(request).await.map_err(other)?;
    let status = response.status();
    if status.as_u16() == 403 {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let body = response.into_body().collect().await.map_err(other)?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    Err(std::io::Error::other(format!("HTTP status {status}")))
}

/// Whether there is a tailscaled to start. A user's PATH often lacks its folder.
fn installed() -> bool {
    let paths = std::env::var("PATH").unwrap_or_default();
    let folders = format!("{paths}:/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/bin");
    which::which_in_global("tailscaled", Some(folders))
        .is_ok_and(|mut found| found.next().is_some())
}
