//! A thrumd that refuses what programs ask for in the background is left alone until it is another one.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tests::harness::{Client, LONG, SHORT, eventually};

/// Takes requests, and refuses them. Gives the connection, and the last request.
fn refuse(listener: &UnixListener, code: i32, times: usize) -> (UnixStream, Value) {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut asked = Value::Null;
    for _ in 0..times {
        let mut reader = BufReader::new(&stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(reader.read_line(&mut line).unwrap() > 0, "a whole request");
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        asked = serde_json::from_slice(&body).unwrap();
        let error = json!({"code": code, "message": "refused in this test"});
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "error": error}).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        (&stream).write_all(format!("{head}{answer}").as_bytes()).unwrap();
    }
    (stream, asked)
}

/// The connection is open, and nothing is asked on it.
#[track_caller]
fn is_quiet(stream: &UnixStream) {
    stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let read = (&mut &*stream).read(&mut [0]);
    let kind = read.map_err(|error| error.kind());
    assert!(matches!(kind, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{kind:?}");
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(client: &Client, words: &[&str]) -> Running {
    let mut command = client.command(words);
    Running(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
}

/// A person who wants OpenCode to be woken, and a thrumd that the test plays.
fn played() -> (tempfile::TempDir, UnixListener, Client) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("s")).unwrap();
    let config = folder.path().join(".config/thrum");
    fs::create_dir_all(&config).unwrap();
    let record = json!({"version": 1, "setups": [{"tool": "opencode", "wake": true}]});
    fs::write(config.join("setup.json"), record.to_string()).unwrap();
    let client = Client::of_socket(folder.path().join("s"), folder.path().to_owned());
    (folder, listener, client)
}

#[test]
fn the_session_of_a_server_is_asked_for_again_when_the_connection_has_ended() {
    const REFUSED: i32 = -32021;
    let (_folder, listener, client) = played();
    let _mcp = start(&client, &["mcp", "--tool", "opencode"]);
    for _ in 0..2 {
        let (stream, asked) = refuse(&listener, REFUSED, 1);
        assert_eq!(asked["method"], "session.start");
        is_quiet(&stream);
    }
}

#[test]
fn a_daemon_without_waking_is_noted_and_left_alone() {
    const METHOD_NOT_FOUND: i32 = -32601;
    let (folder, listener, client) = played();
    let mut listen = start(&client, &["hook", "opencode", "listen"]);
    let line = json!({"session_id": "s1", "cwd": "/"});
    writeln!(listen.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    for _ in 0..2 {
        let (stream, asked) = refuse(&listener, METHOD_NOT_FOUND, 1);
        assert_eq!(asked["method"], "session.update");
        is_quiet(&stream);
    }
    let noted = eventually(SHORT, || {
        let path = folder.path().join(".local/state/thrum/hooks.json");
        fs::read_to_string(path).map_err(|error| error.to_string())
    });
    assert!(noted.contains("restart thrumd"), "{noted}");
}
