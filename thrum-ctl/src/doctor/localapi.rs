//! Asks the machine's tailscaled for its status, without thrumd.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use hyper::{Request, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use crate::client::http::{self, Connection};
use crate::command::output;

/// Far more than a status without peers.
const ANSWER_MAX_BYTES: usize = 4 * 1024 * 1024;

const SOCKET: &str = if cfg!(target_os = "macos") {
    "/var/run/tailscaled.socket"
} else {
    "/run/tailscale/tailscaled.sock"
};
const LIMIT: Duration = Duration::from_secs(5);

/// The state of tailscaled.
#[derive(Debug)]
pub enum Tailscaled {
    /// There is neither a socket nor a program.
    NotInstalled,
    /// The program exists, but nothing listens on the socket.
    NotRunning,
    /// This user may not use the socket.
    NoPermission,
    /// It does not answer properly, for this reason.
    NoAnswer(String),
    /// It answered with its status.
    Answers(Status),
}

/// The members of tailscaled's status that are used here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Status {
    /// Its version.
    pub version: String,
    /// `Running`, `NeedsLogin`, `Stopped` ...
    pub backend_state: String,
}

/// Asks tailscaled at this socket, or else at the platform's default socket, or else through `tailscale`.
pub async fn tailscaled(socket: Option<&Path>) -> Tailscaled {
    let path = socket.unwrap_or(Path::new(SOCKET));
    let error = match status_at(path).await {
        Ok(body) => return parse(&body),
        Err(error) => error,
    };
    let gone = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
    // The macOS apps have no socket, but their program can ask them.
    if socket.is_none()
        && gone
        && let Some(answer) = output("tailscale", &["status", "--json"], &[]).await
        && answer.ok
    {
        return parse(answer.stdout.as_bytes());
    }
    match error.kind() {
        ErrorKind::PermissionDenied => Tailscaled::NoPermission,
        _ if gone && installed() => Tailscaled::NotRunning,
        _ if gone => Tailscaled::NotInstalled,
        _ => Tailscaled::NoAnswer(error.to_string()),
    }
}

fn parse(body: &[u8]) -> Tailscaled {
    match serde_json::from_slice(body) {
        Ok(status) => Tailscaled::Answers(status),
        Err(error) => Tailscaled::NoAnswer(format!("its status can't be parsed: {error}")),
    }
}

async fn status_at(socket: &Path) -> io::Result<Vec<u8>> {
    timeout(LIMIT, ask(socket)).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

async fn ask(socket: &Path) -> io::Result<Vec<u8>> {
    let request = Request::get("/localapi/v0/status?peers=false");
    // tailscaled refuses any other host.
    let request = http::request(request, "local-tailscaled.sock", "")?;
    let mut connection = Connection::open(socket).await?;
    let response = connection.send(request).await.map_err(|error| http::root(&error))?;
    match response.status() {
        status if status.is_success() => {
            let body = http::whole(response.into_body(), ANSWER_MAX_BYTES).await?;
            let too_large = || format!("its status has more than {ANSWER_MAX_BYTES} bytes");
            body.ok_or_else(|| io::Error::other(too_large()))
        }
        StatusCode::FORBIDDEN => Err(ErrorKind::PermissionDenied.into()),
        status => Err(io::Error::other(format!("HTTP status {status}"))),
    }
}

/// Whether the program tailscaled exists. A user's PATH often lacks its folder.
fn installed() -> bool {
    let paths = std::env::var("PATH").unwrap_or_default();
    let folders = format!("{paths}:/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/bin");
    which::which_in_global("tailscaled", Some(folders))
        .is_ok_and(|mut found| found.next().is_some())
}
