//! What costs `thrum ui` nothing: much at once, too large, too slow.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tests::harness::{Changes, Client, Daemon, LONG, SHORT, Ui, eventually, holds, http, process};
use thrum_api::local::Status;

const MIB: usize = 1024 * 1024;
/// More than it ever needs, and less than any of these tests would fill.
const MEMORY_MAX_BYTES: u64 = 96 * 1024 * 1024;

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &[]);
    let head = format!(
        "POST /rpc HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: {}\r\ncontent-type: application/json\r\n",
        ui.port,
        ui.authorization()
    );
    // Announced: not a byte of it is waited for.
    let mut stream = ui.connect();
    stream.write_all(format!("{head}content-length: {}\r\n\r\n", 1024 * MIB).as_bytes()).unwrap();
    let refused = http::read_response(&mut stream).unwrap();
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (413, &json!("too_large")));
    // Not announced: it is read up to the limit.
    let mut stream = ui.connect();
    stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let block = [format!("{MIB:x}\r\n").as_bytes(), &vec![b' '; MIB], b"\r\n"].concat();
    let sent = (0..1024).take_while(|_| stream.write_all(&block).is_ok()).count();
    assert!(sent < 64, "{sent} MiB were taken");
    assert_eq!(http::read_response(&mut stream).unwrap().status, 413);
    // Just below it, it is thrumd's to refuse.
    let text = "x".repeat(MIB - 200);
    let large = json!({ "to": ["coder"], "text": text, "project": "test" });
    let refused = ui.call::<thrum_api::local::MessageSend>(&large);
    assert!(refused["error"]["code"].is_number(), "{refused}");
    // Without a bearer, little is read.
    let token = json!({ "token": "x".repeat(8 * 1024) }).to_string();
    let refused =
        ui.ask("POST", "/session", &[("content-type", "application/json")], token.as_bytes());
    assert_eq!(refused.status, 413);
    assert!(process::peak_bytes(ui.pid()) < MEMORY_MAX_BYTES);
}

#[test]
fn a_flood_of_headers_is_refused() {
    let daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &[]);
    let flood = |line: &str, count: usize| {
        let mut stream = ui.connect();
        let head = format!("GET / HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n", ui.port);
        stream.write_all(head.as_bytes()).unwrap();
        // It may have closed the connection already.
        let _refused = (0..count)
            .try_for_each(|_| stream.write_all(line.as_bytes()))
            .and_then(|()| stream.write_all(b"\r\n"));
        http::read_response(&mut stream).unwrap().status
    };
    assert_eq!(flood("x: y\r\n", 200), 431);
    assert_eq!(flood(&format!("x: {}\r\n", "y".repeat(1024)), 1024), 431);
    assert!(process::peak_bytes(ui.pid()) < MEMORY_MAX_BYTES);
}

#[test]
fn many_slow_callers_keep_nobody_out_for_long() {
    let daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &[]);
    // As many as are served at a time, and more; none of them ends its head.
    let mut slow: Vec<_> = (0..160).map(|_| ui.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: ").unwrap();
    }
    // The first ones are closed in a while, which makes room.
    assert_eq!(ui.ask("GET", "/", &[], b"").status, 200);
    assert!(ui.call::<Status>(&json!({}))["result"].is_object());
}

#[test]
fn without_the_bearer_a_connection_has_one_answer() {
    let daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &[]);
    // What is answered before the end of the connection, of three requests that came at once.
    let statuses = |path: &str, header: &str| {
        let mut stream = ui.connect();
        let host = format!("host: 127.0.0.1:{}\r\n", ui.port);
        let request = format!("GET {path} HTTP/1.1\r\n{host}{header}\r\n");
        let last = format!("GET / HTTP/1.1\r\n{host}connection: close\r\n\r\n");
        stream.write_all(format!("{request}{request}{last}").as_bytes()).unwrap();
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        let answers = String::from_utf8(answers).unwrap();
        answers.split("HTTP/1.1 ").skip(1).map(|it| it[..3].to_owned()).collect::<Vec<_>>()
    };
    for path in ["/", "/assets/app.js"] {
        assert_eq!(statuses(path, ""), ["200"], "{path}");
    }
    assert_eq!(statuses("/session", ""), ["401"]);
    assert_eq!(statuses("/session", "authorization: Bearer x\r\n"), ["401"]);
    let known = format!("authorization: {}\r\n", ui.authorization());
    assert_eq!(statuses("/session", &known), ["200"; 3]);
    assert_eq!(statuses("/none", &known), ["404"]);
}

#[test]
fn fifty_pages_work_and_the_65th_is_refused() {
    let daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &[]);
    let mut pages: Vec<Changes> = (0..64).map(|_| ui.changes()).collect();
    let refused = ui.try_changes().unwrap_err();
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (503, &json!("too_many_pages")));
    let statuses = std::thread::scope(|scope| {
        let ask = || ui.call::<Status>(&json!({}))["result"].is_object();
        let asking: Vec<_> = (0..50).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(statuses.iter().all(|it| *it));
    daemon.thrum(&["send", "--as", "a", "b", "hello"]).exits(0);
    for page in &mut pages {
        page.find(|line| line["change"]["head_seq"].as_u64() >= Some(2));
    }
    // One that leaves makes room, and thrumd is not asked on for it.
    pages.pop();
    eventually(SHORT, || ui.try_changes().map(|page| pages.push(page)).map_err(|it| it.text()));
    let before = process::open_files(ui.pid());
    drop(pages);
    eventually(SHORT, || {
        let now = process::open_files(ui.pid());
        // Each had two descriptors.
        holds(now + 120 <= before, || format!("{now} of {before} files are open"))
    });
}

/// A socket in front of thrumd: it answers all but the stream of changes, which it makes itself.
fn in_front(
    daemon: &Daemon,
    changes: impl Fn(UnixStream) + Send + Clone + 'static,
) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("thrum-test-").tempdir_in("/tmp").unwrap();
    let listener = UnixListener::bind(folder.path().join("s")).unwrap();
    let thrumd = daemon.socket();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, thrumd, changes) = (stream.unwrap(), thrumd.clone(), changes.clone());
            std::thread::spawn(move || {
                let mut start = [0; 12];
                // A caller that leaves at once sends nothing.
                if stream.read_exact(&mut start).is_err() {
                    return;
                }
                if &start == b"GET /changes" {
                    return changes(stream);
                }
                relay(stream, &start, &thrumd);
            });
        }
    });
    folder
}

fn relay(mut caller: UnixStream, start: &[u8], thrumd: &Path) {
    let mut thrumd = UnixStream::connect(thrumd).unwrap();
    thrumd.write_all(start).unwrap();
    let (mut from, mut to) = (caller.try_clone().unwrap(), thrumd.try_clone().unwrap());
    let back = std::thread::spawn(move || {
        let _ended = io::copy(&mut thrumd, &mut caller);
        let _closed = caller.shutdown(Shutdown::Both);
    });
    let _ended = io::copy(&mut from, &mut to);
    let _closed = to.shutdown(Shutdown::Both);
    back.join().unwrap();
}

#[test]
fn a_page_that_does_not_read_holds_up_its_own_stream_and_fills_no_memory() {
    let daemon = Daemon::start("laptop");
    let change = json!({
        "epoch": daemon.status().log.epoch, "read_seq": 1, "head_seq": 1, "status": true, "agents": true, "deliveries": true,
    });
    let line = format!("data: {change}\n\n").repeat(100);
    let (told, stopped) = std::sync::mpsc::channel();
    let front = in_front(&daemon, move |mut stream| {
        http::read_head(&mut stream).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut written = 0;
        // Until nobody takes more for a while, or much more was taken than fits into the buffers of the system.
        while written < 256 * MIB && stream.write_all(line.as_bytes()).is_ok() {
            written += line.len();
        }
        told.send(written).unwrap();
        // Open until the page has gone.
        let _gone = io::copy(&mut stream, &mut io::sink());
    });
    let client = Client::of_socket(front.path().join("s"), daemon.folder().to_owned());
    let ui = Ui::start(&client, &[]);
    let mut page = ui.changes();
    assert_eq!(page.line()["change"], change);
    let written = stopped.recv_timeout(LONG).unwrap();
    assert!(written < 64 * MIB, "{written} bytes were taken");
    assert!(process::peak_bytes(ui.pid()) < MEMORY_MAX_BYTES);
    // Others are served meanwhile.
    assert!(ui.call::<Status>(&json!({}))["result"].is_object());
    assert_eq!(page.line()["change"], change);
}
