//! Another program at the socket of thrumd: whatever it answers, the client ends, and reads no more than it needs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::harness::{Client, Daemon};
use thrum_api::Method as _;
use thrum_api::local::EventList;

/// An answer of more bytes than this is read by nobody: the limit of the client and what sockets buffer.
const READ_MAX_BYTES: usize = 80 * 1024 * 1024;

/// What a request for events has in it. A client that is kept waiting also asks whether the daemon is well.
const EVENTS: &[u8] = EventList::NAME.as_bytes();

/// What the impostor has done.
#[derive(Default)]
struct Done {
    /// Requests for events.
    pages: AtomicUsize,
    /// Of the longest answer that was read. A client that is kept waiting looks over another connection what is wrong.
    bytes: AtomicUsize,
}

/// A client of an impostor that answers every request with `head` and then `rest` again and again.
fn client_of(head: &'static str, rest: &'static [u8]) -> (tempfile::TempDir, Client, Arc<Done>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let done = Arc::new(Done::default());
    let counted = done.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let done = counted.clone();
            std::thread::spawn(move || answer(stream, head, rest, &done));
        }
    });
    let client = Client::of_socket(path, folder.path().to_owned());
    (folder, client, done)
}

/// An answer with this result.
fn with_result(result: &str) -> &'static str {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .leak()
}

fn answer(mut stream: UnixStream, head: &str, rest: &[u8], done: &Done) {
    loop {
        // A client sends each request at once, and only then waits for the answer.
        let mut request = [0; 64 * 1024];
        match stream.read(&mut request) {
            Ok(count) if count > 0 => {}
            _ => return,
        }
        if request.windows(EVENTS.len()).any(|bytes| bytes == EVENTS) {
            done.pages.fetch_add(1, Ordering::Relaxed);
        }
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
        let mut bytes = 0;
        while !rest.is_empty() {
            if stream.write_all(rest).is_err() {
                return;
            }
            bytes += rest.len();
            done.bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"jsonrpc\":\"";
    let (_folder, client, done) = client_of(head, &[b'x'; 64 * 1024]);
    for words in [
        &["status"][..],
        &["inbox", "--as", "a"],
        &["send", "--as", "a", "b", "text"],
        &["wait", "--as", "a"],
    ] {
        let ran = client.run(words).exits(3);
        assert!(ran.stderr.contains("an answer of more than"), "{}", ran.stderr);
        assert!(done.bytes.load(Ordering::Relaxed) < READ_MAX_BYTES, "{words:?}");
    }
}

#[test]
fn an_event_without_end_is_not_read_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ";
    let (_folder, client, done) = client_of(head, &[b'x'; 64 * 1024]);
    let ran = client.run(&["events", "--follow", "--after", "0"]).exits(3);
    assert!(ran.stderr.contains("an answer of more than"), "{}", ran.stderr);
    assert!(done.bytes.load(Ordering::Relaxed) < READ_MAX_BYTES);
}

#[test]
fn a_page_that_does_not_go_on_is_an_error() {
    let page = r#"{"events":[],"next":0,"more_available":true}"#;
    let (_folder, client, done) = client_of(with_result(page), &[]);
    let ran = client.run(&["events", "--after", "0"]).exits(1);
    assert!(ran.stderr.contains("does not go on"), "{}", ran.stderr);
    assert_eq!(done.pages.load(Ordering::Relaxed), 1);
}

#[test]
fn a_stop_says_that_it_waits_for_the_end_of_the_process() {
    let mut busy = Command::new("sleep").arg("600").spawn().unwrap();
    let mut health = Daemon::start("laptop").health();
    health.pid = busy.id();
    let result = serde_json::to_string(&health).unwrap();
    let (_folder, client, _done) = client_of(with_result(&result), &[]);
    let mut stop = client.command(&["daemon", "stop"]);
    let mut stop = stop.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(stop.stderr.take().unwrap()).read_line(&mut said).unwrap();
    busy.kill().unwrap();
    assert!(said.contains(&format!("waiting for thrumd (pid {}) to end", busy.id())), "{said}");
    busy.wait().unwrap();
    assert!(stop.wait().unwrap().success());
}
