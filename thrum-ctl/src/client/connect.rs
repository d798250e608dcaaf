//! Finds the first daemon that accepts connections, and explains why none does.

use std::io;
use std::path::Path;

use super::http::Connection;
use super::sandbox;
use crate::command::output;
use crate::endpoint::{Endpoint, Endpoints, Owner, unit_installed};
use crate::error::Error;
use crate::process;

/// The first endpoint that accepts a connection, with that connection.
///
/// # Errors
/// When none does. The most helpful error is returned: a sandbox, a missing permission, then a daemon without its
/// socket, then one that died, then a missing socket.
pub async fn find(endpoints: &Endpoints) -> Result<(Endpoint, Connection), Error> {
    match first(&endpoints.candidates()).await {
        Ok(found) => Ok(found),
        Err(error) => Err(or_not_listening(error, endpoints).await),
    }
}

/// As [`find`], without looking for a daemon that runs and doesn't listen: that may start programs.
///
/// # Errors
/// When none accepts connections.
pub async fn find_at_once(endpoints: &Endpoints) -> Result<(Endpoint, Connection), Error> {
    first(&endpoints.candidates()).await
}

async fn first(endpoints: &[Endpoint]) -> Result<(Endpoint, Connection), Error> {
    let mut errors = Vec::new();
    for endpoint in endpoints {
        match Connection::open(&endpoint.path).await {
            Ok(connection) => return Ok((endpoint.clone(), connection)),
            Err(source) if missing(&source) => {}
            Err(source) => errors.push(refused(endpoint, source)),
        }
    }
    // The first of the most helpful ones. A sandbox refuses also where there is no socket.
    let best = errors.into_iter().min_by_key(|error| match error {
        Error::Sandboxed { path, .. } if path.exists() => 0,
        Error::NotPermitted { .. } => 1,
        Error::Sandboxed { .. } => 3,
        _ => 2,
    });
    Err(best.unwrap_or_else(|| not_running(endpoints)))
}

/// Why the daemon of this endpoint could not be reached.
pub async fn failure(endpoint: &Endpoint, endpoints: &Endpoints, source: io::Error) -> Error {
    let error = match missing(&source) {
        true => not_running(std::slice::from_ref(endpoint)),
        false => refused(endpoint, source),
    };
    or_not_listening(error, endpoints).await
}

/// The error, or that a daemon runs without the socket that is missing.
async fn or_not_listening(error: Error, endpoints: &Endpoints) -> Error {
    let missing = match &error {
        Error::NotRunning { endpoints, .. } => format!("there is no socket at {endpoints}"),
        Error::Died { path, .. } => format!("nothing listens on {}", path.display()),
        Error::Connect { path, .. } if !is_socket(path) => {
            format!("{} is not a socket", path.display())
        }
        _ => return error,
    };
    for (state_dir, owner) in endpoints.state_dirs() {
        let pid = match process::holder(&state_dir) {
            None if owner == Owner::System => main_pid().await,
            pid => pid,
        };
        if let Some(pid) = pid {
            let (hint, next) = match endpoints.listens_elsewhere(&state_dir) {
                Some(socket) => (
                    format!("it uses another socket, {}: ", socket.display()),
                    "unset THRUM_SOCKET",
                ),
                None => {
                    let why = "it is starting or stopping, uses another socket, or its socket's file was removed; \
                               if this stays: ";
                    (why.to_owned(), owner.how_to_restart())
                }
            };
            return Error::NotListening { pid, state_dir, missing, hint: hint + next, next };
        }
    }
    error
}

/// The process of the system service, whose state directory only itself may read.
async fn main_pid() -> Option<u32> {
    if !unit_installed() || !Path::new("/run/systemd/system").is_dir() {
        return None;
    }
    let words = ["show", "thrumd.service", "-p", "MainPID", "--value"];
    let pid = output("systemctl", &words, &[]).await?.stdout.trim().parse().ok();
    pid.filter(|pid| *pid != 0)
}

fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn refused(endpoint: &Endpoint, source: io::Error) -> Error {
    let path = endpoint.path.clone();
    match source.kind() {
        // Linux reports this also for a file that is not a socket.
        io::ErrorKind::ConnectionRefused if !is_socket(&path) => {
            Error::Connect { path, source: io::Error::other("it is not a socket") }
        }
        io::ErrorKind::ConnectionRefused => {
            Error::Died { path, hint: endpoint.owner.how_to_see_why().to_owned(), source }
        }
        _ if sandbox::refused(&path, &source) => {
            Error::Sandboxed { hint: sandbox::how_to_allow(&path), path, source }
        }
        io::ErrorKind::PermissionDenied => {
            Error::NotPermitted { path, hint: endpoint.owner.how_to_get_access(), source }
        }
        _ => Error::Connect { path, source },
    }
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(path).map_or(true, |meta| meta.file_type().is_socket())
}

fn not_running(endpoints: &[Endpoint]) -> Error {
    // A named endpoint knows its owner. Otherwise an installed unit is preferred, and then the user's
    // own daemon, which needs no installation.
    let first = endpoints.first().map_or(Owner::User, |endpoint| endpoint.owner);
    let owner = if endpoints.len() > 1 && unit_installed() { Owner::System } else { first };
    let owner = if owner == Owner::System && !unit_installed() { Owner::User } else { owner };
    let path = |endpoint: &Endpoint| endpoint.path.display().to_string();
    let shown = match endpoints {
        [first, second, _, more @ ..] => {
            format!("{}, {} or {} more places", path(first), path(second), more.len() + 1)
        }
        few => few.iter().map(path).collect::<Vec<_>>().join(" or "),
    };
    Error::NotRunning { endpoints: shown, hint: owner.how_to_start() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(path: &Path) -> Endpoint {
        Endpoint { path: path.to_owned(), owner: Owner::User }
    }

    #[tokio::test]
    async fn each_cause_has_its_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none.sock");
        let dead = folder.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());

        let error = first(&[endpoint(&none)]).await.unwrap_err();
        assert!(matches!(error, Error::NotRunning { .. }), "{error:?}");
        assert_eq!(error.hint().as_deref(), Some("start it: thrum daemon start"));

        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = first(&[endpoint(&file)]).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");

        let error = first(&[endpoint(&none), endpoint(&dead)]).await.unwrap_err();
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
        assert_eq!(error.kind().exit_code(), 3);

        let denied = io::ErrorKind::PermissionDenied.into();
        let error = refused(&Endpoint { path: none, owner: Owner::System }, denied);
        assert_eq!(error.kind().exit_code(), 4);
        assert!(error.hint().unwrap().contains("usermod -aG thrum"));

        let sandboxed = || io::Error::from_raw_os_error(1);
        let error = refused(&endpoint(&dead), sandboxed());
        assert_eq!((error.kind().exit_code(), error.word().as_str()), (4, "socket_sandbox"));
        let hint = error.hint().unwrap();
        for word in ["sandbox.network.allow", "unix_sockets", "MCP"] {
            assert!(hint.contains(word) && !hint.contains("usermod"), "{hint}");
        }
    }

    #[tokio::test]
    async fn a_living_daemon_behind_a_dead_socket_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let dead = folder.path().join("dead.sock");
        let live = folder.path().join("live.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let _listener = std::os::unix::net::UnixListener::bind(&live).unwrap();
        let (found, _) = first(&[endpoint(&dead), endpoint(&live)]).await.unwrap();
        assert_eq!(found.path, live);
    }
}
