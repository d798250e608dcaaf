//! Connecting, and telling apart why it did not work.

use std::io;
use std::path::PathBuf;

use tokio::net::UnixStream;

use super::place::{Owner, Place};
use crate::error::Error;

/// The first place in which somebody answers.
///
/// # Errors
/// When nobody does: what a person can act on best, that is a socket that may not be used, then one
/// whose daemon died, then none at all.
pub async fn first(places: &[Place]) -> Result<(PathBuf, UnixStream), Error> {
    let mut worst: Option<Error> = None;
    for place in places {
        match UnixStream::connect(&place.path).await {
            Ok(stream) => return Ok((place.path.clone(), stream)),
            Err(source) if missing(&source) => {}
            Err(source) => {
                let error = refused(place, source);
                let telling = matches!(error, Error::NotPermitted { .. });
                if worst.is_none()
                    || (telling && !matches!(worst, Some(Error::NotPermitted { .. })))
                {
                    worst = Some(error);
                }
            }
        }
    }
    Err(worst.unwrap_or_else(|| nowhere(places)))
}

fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn refused(place: &Place, source: io::Error) -> Error {
    let path = place.path.clone();
    match source.kind() {
        // Linux refuses connections to files of any kind so.
        io::ErrorKind::ConnectionRefused if !is_socket(&path) => {
            Error::Connect { path, source: io::Error::other("it is no socket") }
        }
        io::ErrorKind::ConnectionRefused => {
            Error::Died { path, hint: place.owner.how_to_see_why().to_owned(), source }
        }
        io::ErrorKind::PermissionDenied => {
            Error::NotPermitted { path, hint: place.owner.how_to_be_let_in(), source }
        }
        _ => Error::Connect { path, source },
    }
}

fn is_socket(path: &std::path::Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(path).map_or(true, |meta| meta.file_type().is_socket())
}

fn nowhere(places: &[Place]) -> Error {
    // The user's own daemon needs no installation, so it is the start that always works. A named
    // place says itself whose it is, and an installed unit is what the machine's owner wanted.
    let first = places.first().map_or(Owner::User, |place| place.owner);
    let owner = if places.len() > 1 && unit_installed() { Owner::System } else { first };
    let owner = if owner == Owner::System && !unit_installed() { Owner::User } else { owner };
    let path = |place: &Place| place.path.display().to_string();
    let shown = match places {
        [first, second, _, more @ ..] => {
            format!("{}, {} or {} more places", path(first), path(second), more.len() + 1)
        }
        few => few.iter().map(path).collect::<Vec<_>>().join(" or "),
    };
    Error::NotRunning { places: shown, hint: owner.how_to_start().to_owned() }
}

/// Whether systemd has a unit for the system's service.
pub fn unit_installed() -> bool {
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
        .iter()
        .any(|dir| std::path::Path::new(dir).join("thrumd.service").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &std::path::Path) -> Place {
        Place { path: path.to_owned(), owner: Owner::User }
    }

    #[tokio::test]
    async fn each_cause_has_its_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none.sock");
        let dead = folder.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());

        let error = first(&[place(&none)]).await.unwrap_err();
        assert!(matches!(error, Error::NotRunning { .. }), "{error:?}");
        assert_eq!(error.hint().as_deref(), Some("start it: thrum daemon start"));

        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = first(&[place(&file)]).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");

        let error = first(&[place(&none), place(&dead)]).await.unwrap_err();
        assert!(matches!(error, Error::Died { .. }), "{error:?}");
        assert_eq!(error.kind().exit_code(), 3);

        let denied = io::ErrorKind::PermissionDenied.into();
        let error = refused(&Place { path: none, owner: Owner::System }, denied);
        assert_eq!(error.kind().exit_code(), 4);
        assert!(error.hint().unwrap().contains("usermod -aG thrum"));
    }

    #[tokio::test]
    async fn a_living_daemon_behind_a_dead_socket_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let dead = folder.path().join("dead.sock");
        let live = folder.path().join("live.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let _listener = std::os::unix::net::UnixListener::bind(&live).unwrap();
        let (path, _stream) = first(&[place(&dead), place(&live)]).await.unwrap();
        assert_eq!(path, live);
    }
}
