use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use crate::admin::{LocalSocket, SocketError};

#[tokio::test]
async fn a_socket_that_nobody_answers_on_is_replaced_and_goes_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/thrumd.sock");
    std::fs::create_dir(dir.path().join("made")).unwrap();
    // A listener that is dropped leaves its file, as a killed daemon does.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = LocalSocket::bind(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert!(mode == 0o600 || mode == 0o660, "{mode:o}");
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_live_socket_and_other_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("thrumd.sock");
    let first = LocalSocket::bind(&path).unwrap();
    let error = LocalSocket::bind(&path).unwrap_err();
    assert!(matches!(error, SocketError::Live { .. }), "{error}");
    assert!(error.to_string().contains("another thrumd answers"), "{error}");
    assert!(path.exists());
    drop(first);

    std::fs::write(&path, "mine").unwrap();
    let error = LocalSocket::bind(&path).unwrap_err();
    assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn the_socket_file_of_a_later_daemon_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("thrumd.sock");
    let first = LocalSocket::bind(&path).unwrap();
    std::fs::rename(&path, dir.path().join("moved")).unwrap();
    let second = LocalSocket::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
    drop(second);
}
