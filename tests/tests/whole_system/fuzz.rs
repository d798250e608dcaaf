//! Random requests to both surfaces of a daemon: valid ones of which something was changed.

use std::io::{Read as _, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::harness::{
    Daemon, Dice, FakePeer, LONG, Origin, Setup, connect_unix, converge, number, pair, process,
};
use thrum_api::{Event, limits};

/// More than an idle daemon needs, and less than requests that are kept would take.
const MEMORY_BYTES: u64 = 96 * 1024 * 1024;

/// How long each surface gets requests.
fn span() -> Duration {
    Duration::from_secs(number("THRUM_TEST_FUZZ").unwrap_or(4))
}

fn peer_requests(peer: &FakePeer) -> Vec<Value> {
    let mut origin = Origin::new();
    // As it is after it was changed and written again: a JSON value orders its members.
    let draft: Value = serde_json::from_str(&origin.draft("{}")).unwrap();
    let own = origin.write(draft.to_string());
    let have = json!([own.head]);
    let window = json!([origin.run(&[own])]);
    [
        ("sync.peer_info", json!({})),
        ("sync.pull", json!({"after_seq": 0})),
        ("sync.pull", json!({"after_seq": 1, "limit": 3, "have": have})),
        (
            "sync.notify",
            json!({"daemon_id": peer.id(), "name": "fake", "latest_seq": 1,
                "latest_hash": "00000000000000aa", "after_seq": 0, "heads": have, "runs": window}),
        ),
        (
            "pair.request",
            json!({"code": "1234", "id": peer.id(), "name": "x", "addr": "127.0.0.1:1"}),
        ),
    ]
    .map(|(method, params)| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    .to_vec()
}

fn local_requests() -> Vec<Value> {
    [
        ("health", json!({})),
        ("status", json!({})),
        (
            "event.append",
            json!({"events": [{"type": "test.said", "project": "p", "body": {"text": "x"}}]}),
        ),
        ("event.list", json!({"after": 0, "limit": 5, "newest": true, "type": "test.said"})),
        ("message.send", json!({"from": "a", "to": ["b", "c"], "text": "hello", "project": "p"})),
        ("message.inbox", json!({"agent": "b", "project": "p", "unread_only": true, "limit": 3})),
        ("message.wait", json!({"agent": "c", "project": "p", "timeout_ms": 1})),
        (
            "message.mark_read",
            json!({"agent": "b", "messages": [{"event_id": "01ARZ3NDEKTSV4RRFFQ69G5FAW"}]}),
        ),
        ("agent.list", json!({"project": "p"})),
        ("peer.list", json!({})),
        ("peer.find", json!({"peer": "fake"})),
    ]
    .map(|(method, params)| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    .to_vec()
}

/// A value that a careless program would stumble over.
fn odd(dice: &mut Dice) -> Value {
    match dice.below(12) {
        0 => Value::Null,
        1 => json!(-1),
        2 => json!(u64::MAX),
        3 => json!(1e300),
        4 => json!(""),
        5 => json!("x".repeat(dice.index(70_000))),
        6 => json!("\u{0}\u{202e}\u{feff}\u{1b}[2J"),
        7 => json!([]),
        8 => json!({}),
        9 => json!(vec![json!({"a": [1, 2, {"b": null}]}); dice.index(3000)]),
        10 => (0..dice.below(200)).fold(json!(1), |inner, _| json!([inner])),
        _ => json!(dice.below(2) == 0),
    }
}

/// Changes one part of a value, however deep.
fn change(value: &mut Value, dice: &mut Dice) {
    let deeper = dice.below(4) > 0;
    match value {
        Value::Object(members) if deeper && !members.is_empty() => {
            let at = dice.index(members.len());
            let name = members.keys().nth(at).unwrap().clone();
            match dice.below(8) {
                0 => drop(members.remove(&name)),
                1 => {
                    let moved = members.remove(&name).unwrap();
                    members.insert(format!("{name}\u{301}"), moved);
                }
                _ => change(&mut members[&name], dice),
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = dice.index(items.len());
            match dice.below(8) {
                0 => drop(items.remove(at)),
                1 => *items = vec![items[at].clone(); dice.index(200)],
                _ => change(&mut items[at], dice),
            }
        }
        other => *other = odd(dice),
    }
}

/// Flips, removes, inserts or repeats bytes.
fn garble(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        let at = dice.index(bytes.len() + 1);
        let end = bytes.len().min(at + dice.index(40));
        match dice.below(4) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, dice.below(256) as u8),
            _ => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

/// A whole request: its head and its body, each perhaps wrong.
fn request(valid: &[Value], token: Option<&str>, dice: &mut Dice) -> Vec<u8> {
    let mut call = valid[dice.index(valid.len())].clone();
    if dice.below(4) > 0 {
        change(&mut call, dice);
    }
    let mut body = call.to_string().into_bytes();
    if dice.below(4) == 0 {
        garble(&mut body, dice);
    }
    // Mostly right: what is refused by its head reaches no method.
    let mut mostly = |right, wrong: [&'static str; 4]| match dice.below(8) {
        0 => wrong[dice.index(4)],
        _ => right,
    };
    let method = mostly("POST", ["GET", "PUT", "post", "P\u{0}ST"]);
    let path = mostly("/rpc", ["/", "/metrics", "/rpc/../rpc", "*"]);
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    if let Some(token) = token.filter(|_| dice.below(8) > 0) {
        head.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    match dice.below(10) {
        0 => head.push_str(&format!("x: {}\r\n", "y".repeat(dice.index(20_000)))),
        1 => head.push_str("expect: 100-continue\r\n"),
        2 => head.push_str("connection: upgrade\r\nupgrade: h2c\r\n"),
        3 => head.push_str("content-length: 3\r\n"),
        _ => {}
    }
    let length = body.len();
    match dice.below(10) {
        0 => {
            head.push_str("transfer-encoding: chunked\r\n");
            let cut = dice.index(length + 1);
            let chunk = |bytes: &[u8]| {
                [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
            };
            body = [chunk(&body[..cut]), chunk(&body[cut..]), b"0\r\n\r\n".to_vec()].concat();
            if dice.below(2) == 0 {
                garble(&mut body, dice);
            }
        }
        1 => head.push_str(&format!("content-length: {}\r\n", length + dice.index(1000))),
        2 => head.push_str(&format!("content-length: {}\r\n", dice.index(length + 1))),
        3 => head.push_str(&format!("content-length: {}\r\n", odd(dice))),
        _ => head.push_str(&format!("content-length: {length}\r\n")),
    }
    let mut bytes = [head.as_bytes(), b"\r\n", &body].concat();
    match dice.below(12) {
        0 => garble(&mut bytes, dice),
        // A second one in the same connection.
        1 => bytes.extend(bytes.clone()),
        2 => bytes.truncate(dice.index(bytes.len())),
        _ => {}
    }
    bytes
}

/// Sends it, and reads what comes or not. Neither has to work: the daemon may close at any time.
fn send<S: Write + std::io::Read>(
    mut stream: S,
    bytes: &[u8],
    half_close: impl Fn(&S),
    dice: &mut Dice,
) {
    let sent = stream.write_all(bytes);
    if sent.is_ok() && dice.below(3) > 0 {
        half_close(&stream);
        let _came = stream.take(100_000).read_to_end(&mut Vec::new());
    }
}

#[test]
fn a_daemon_outlives_random_requests_to_both_of_its_surfaces() {
    let daemon = Setup::new("laptop").env("THRUM_TS_ENABLED", true).start();
    let server = Daemon::start("server");
    pair(&daemon, &server);
    let mut peer = FakePeer::honest();
    peer.joins(&daemon);
    let mut dice = Dice::seeded();
    let (to_peers, to_local) = (peer_requests(&peer), local_requests());
    let (caller, mut first, mut second) = (daemon.stranger(), dice.branch(), dice.branch());
    let begun = Instant::now();
    // A daemon that waits for more bytes must not hold up the next requests; nothing depends on an answer.
    let limit = Some(Duration::from_millis(100));
    let sent = std::thread::scope(|scope| {
        let remote = scope.spawn(|| {
            let mut sent = 0;
            while begun.elapsed() < span() {
                let bytes = request(&to_peers, Some(peer.token().expose()), &mut first);
                // It may refuse more of one address for a moment.
                let Ok(stream) = caller.connect() else { continue };
                stream.set_read_timeout(limit).unwrap();
                let half = |stream: &std::net::TcpStream| drop(stream.shutdown(Shutdown::Write));
                send(stream, &bytes, half, &mut first);
                sent += 1;
            }
            sent
        });
        let mut sent = 0;
        while begun.elapsed() < span() {
            let bytes = request(&to_local, None, &mut second);
            let stream = connect_unix(&daemon.socket()).unwrap();
            stream.set_read_timeout(limit).unwrap();
            let half =
                |stream: &std::os::unix::net::UnixStream| drop(stream.shutdown(Shutdown::Write));
            send(stream, &bytes, half, &mut second);
            sent += 1;
        }
        (remote.join().unwrap(), sent)
    });
    println!("{sent:?} requests were sent to peers' port and socket");
    assert_eq!(daemon.health().pid, daemon.pid());
    daemon.append(["still here"]);
    let memory = process::peak_bytes(daemon.pid());
    assert!(memory < MEMORY_BYTES, "{} MiB at most", memory >> 20);
    assert!(!daemon.log_text().contains("panic"), "{}", daemon.log_text());
    for held in daemon.events() {
        let bytes = held.event.get();
        assert!(bytes.len() <= limits::EVENT_MAX_BYTES);
        serde_json::from_str::<Event>(bytes).unwrap_or_else(|error| panic!("{error}: {bytes}"));
    }
    // What is in its log is an event for others, too.
    converge(LONG, &[&daemon, &server]);
    assert_eq!(server.status().log.quarantined, 0);
}
