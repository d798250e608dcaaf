//! What strangers, programs and broken networks send to the two surfaces of a daemon.

use std::io::{Error, ErrorKind, Write as _};
use std::time::Duration;

use serde_json::json;
use tests::harness::{
    Daemon, FakePeer, LONG, PeerCaller, SHORT, Setup, converge, event_of, eventually, holds, pair,
    process, read_some,
};
use thrum_api::local::{AppendParams, EventAppend};
use thrum_api::{ErrorCode, limits};

/// More than an idle daemon needs and much less than any of these attacks would take.
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;

fn listening() -> Daemon {
    let daemon = Setup::new("laptop").env("THRUM_TS_ENABLED", true).start();
    eventually(SHORT, || daemon.stranger().connect().map_err(|error| error.to_string()));
    daemon
}

fn listening_with_peer() -> (Daemon, FakePeer) {
    let daemon = listening();
    let mut peer = FakePeer::honest();
    peer.joins(&daemon);
    (daemon, peer)
}

#[track_caller]
fn answers(daemon: &Daemon) {
    daemon.append(["still here"]);
    let memory = process::peak_bytes(daemon.pid());
    assert!(memory < MEMORY_BYTES, "{} MiB at most", memory >> 20);
}

#[track_caller]
fn refused(caller: &PeerCaller, body: &[u8], status: u16, code: ErrorCode) {
    let response = caller.post(body).unwrap();
    let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
    assert_eq!(response.status, status, "{shown}: {}", response.text());
    assert_eq!(response.json()["error"]["code"], json!(code.0), "{shown}: {}", response.text());
}

/// Whether the other side ended the connection: one that only doesn't read any more has not.
fn closed(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

#[test]
fn without_a_token_every_method_but_one_is_not_authenticated() {
    let daemon = listening();
    let stranger = daemon.stranger();
    for method in
        ["sync.pull", "sync.notify", "sync.peer_info", "no.such", "health", "event.append"]
    {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}});
        refused(&stranger, body.to_string().as_bytes(), 401, ErrorCode::NOT_AUTHENTICATED);
        let liar = stranger.clone().with_token("0".repeat(64).parse().unwrap());
        refused(&liar, body.to_string().as_bytes(), 401, ErrorCode::NOT_AUTHENTICATED);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"token": "0".repeat(64)}});
        refused(&stranger, body.to_string().as_bytes(), 401, ErrorCode::NOT_AUTHENTICATED);
    }
    answers(&daemon);
}

#[test]
fn an_open_pairing_session_gives_strangers_nothing() {
    let daemon = listening();
    let code = daemon.open_pairing().code;
    for method in ["sync.pull", "sync.notify", "sync.peer_info"] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method,
            "params": {"after_seq": 0, "code": code.expose(), "token": code.expose()}});
        let response = daemon.stranger().post(body.to_string().as_bytes()).unwrap();
        assert_eq!(response.status, 401, "{}", response.text());
    }
}

#[test]
fn a_peer_that_sends_nonsense_is_told_what_is_wrong() {
    let (daemon, peer) = listening_with_peer();
    let caller = peer.caller(&daemon);
    refused(&caller, b"{\"jsonrpc\": \"2.0\", ", 200, ErrorCode::PARSE);
    refused(&caller, b"\xff\xfe\x00", 200, ErrorCode::PARSE);
    refused(&caller, b"", 200, ErrorCode::PARSE);
    refused(&caller, b"{\"method\": \"sync.pull\"}", 200, ErrorCode::INVALID_REQUEST);
    refused(&caller, b"42", 200, ErrorCode::INVALID_REQUEST);
    let one = r#"{"jsonrpc":"2.0","id":1,"method":"sync.peer_info"}"#;
    refused(&caller, format!("[{one},{one}]").as_bytes(), 200, ErrorCode::INVALID_REQUEST);
    // Each of these would be work for the writer.
    let crowded = |runs: usize, events: usize| {
        let events = vec![json!({"sequence": 1, "event": {}}); events];
        let run =
            json!({"previous": "A".repeat(43), "signature": "A".repeat(86), "events": events});
        json!({"daemon_id": peer.id(), "latest_seq": 20_000, "after_seq": 0, "runs": vec![run; runs]})
    };
    for (method, params, code) in [
        ("no.such", json!({}), ErrorCode::METHOD_NOT_FOUND),
        ("health", json!({}), ErrorCode::METHOD_NOT_FOUND),
        ("event.append", json!({"events": []}), ErrorCode::METHOD_NOT_FOUND),
        ("sync.pull", json!({}), ErrorCode::INVALID_PARAMS),
        ("sync.pull", json!({"after_seq": -1}), ErrorCode::INVALID_PARAMS),
        ("sync.pull", json!({"after_seq": "seven"}), ErrorCode::INVALID_PARAMS),
        ("sync.pull", json!({"after_seq": 1_000_000}), ErrorCode::OTHER_LOG),
        ("sync.pull", json!({"after_seq": u64::MAX}), ErrorCode::OTHER_LOG),
        ("sync.notify", json!([1, 2, 3]), ErrorCode::INVALID_PARAMS),
        ("sync.notify", crowded(1, 20_000), ErrorCode::INVALID_PARAMS),
        ("sync.notify", crowded(1_000, 1), ErrorCode::INVALID_PARAMS),
    ] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        refused(&caller, body.to_string().as_bytes(), 200, code);
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"sync.pull","params":{deep}}}"#);
    let response = caller.post(deep.as_bytes()).unwrap();
    assert!(response.json()["error"]["code"].is_i64(), "{}", response.text());
    answers(&daemon);
}

#[test]
fn only_post_rpc_with_json_is_served_to_peers() {
    let (daemon, peer) = listening_with_peer();
    let caller = peer.caller(&daemon);
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"sync.peer_info"}"#;
    let json = [("content-type", "application/json")];
    for (method, path) in [("GET", "/rpc"), ("PUT", "/rpc"), ("POST", "/"), ("GET", "/metrics")] {
        let response = caller.send(method, path, &json, body).unwrap();
        assert!((400..500).contains(&response.status), "{method} {path}: {}", response.status);
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let response = caller.send("POST", "/rpc", &[("content-type", kind)], body).unwrap();
        assert!((400..500).contains(&response.status), "{kind}: {}", response.status);
    }
    let with_charset = [("content-type", "application/json; charset=utf-8")];
    let response = caller.send("POST", "/rpc", &with_charset, body).unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
}

#[test]
fn ten_mebibytes_are_refused_before_they_are_read() {
    let (daemon, peer) = listening_with_peer();
    let body = vec![b' '; 10 * 1024 * 1024];
    for _ in 0..5 {
        refused(&peer.caller(&daemon), &body, 413, ErrorCode::TOO_LARGE);
        refused(&daemon.stranger(), &body, 413, ErrorCode::TOO_LARGE);
    }
    // A length that is promised and never comes, and one that isn't promised.
    let mut stream = daemon.stranger().connect().unwrap();
    stream
        .write_all(b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n")
        .unwrap();
    let response = tests::harness::http::read_response(&mut stream).unwrap();
    assert_eq!(response.status, 413);
    let mut stream = daemon.stranger().connect().unwrap();
    let head = b"POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head).unwrap();
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    let end = (0..1000).find_map(|_| stream.write_all(&chunk).err());
    assert!(end.as_ref().is_some_and(closed), "64 MiB of chunks: {end:?}");
    answers(&daemon);
}

#[test]
fn headers_without_end_are_cut() {
    let daemon = listening();
    let mut stream = daemon.stranger().connect().unwrap();
    stream.write_all(b"POST /rpc HTTP/1.1\r\nhost: x\r\n").unwrap();
    let line = format!("x-more: {}\r\n", "y".repeat(1000));
    let end = (0..100_000).find_map(|_| stream.write_all(line.as_bytes()).err());
    assert!(end.as_ref().is_some_and(closed), "100 MB of headers: {end:?}");
    answers(&daemon);
}

#[test]
fn slow_headers_and_slow_bodies_are_cut() {
    let daemon = listening();
    let mut connections = Vec::new();
    for start in [
        "POST /rpc HTTP/1.1\r\nhost: x\r\nx: ",
        "",
        "POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n",
    ] {
        let mut stream = daemon.stranger().connect().unwrap();
        stream.write_all(start.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        connections.push(stream);
    }
    eventually(LONG, || {
        connections.retain_mut(|stream| {
            // A byte now and then does not make a request.
            let sent = stream.write_all(b"a");
            let came = sent.and_then(|()| read_some(stream, &mut [0; 512]));
            !matches!(came, Ok(0)) && !came.is_err_and(|error| closed(&error))
        });
        holds(connections.is_empty(), || format!("{} are still open", connections.len()))
    });
    answers(&daemon);
}

#[test]
fn three_thousand_idle_connections_cost_little_and_keep_no_peer_out() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    pair(&laptop, &server);
    more_files();
    let mut connections = Vec::new();
    for _ in 0..3000 {
        // When the backlog is full the system may make us wait; that is a limit as well.
        if let Ok(stream) = laptop.stranger().connect() {
            connections.push(stream);
        }
    }
    assert!(connections.len() > 2900, "only {} were opened", connections.len());
    let open = process::open_files(laptop.pid());
    assert!(open < 400, "{open} files open");
    answers(&laptop);
    // News goes out at once; what comes from the peer has to get through the crowd.
    server.append(["through the crowd"]);
    converge(LONG, &[&laptop, &server]);
    drop(connections);
    server.append(["when they are gone"]);
    converge(SHORT, &[&laptop, &server]);
}

fn more_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, wanted).unwrap();
}

#[test]
fn the_local_socket_refuses_what_is_no_request() {
    let daemon = Daemon::start("laptop");
    let mut cases = vec![
        (b"{\"jsonrpc\":".to_vec(), ErrorCode::PARSE),
        (b"".to_vec(), ErrorCode::PARSE),
        (b"{}".to_vec(), ErrorCode::INVALID_REQUEST),
        (vec![b' '; 10 * 1024 * 1024], ErrorCode::TOO_LARGE),
    ];
    let call = |method: &str, params: serde_json::Value| {
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
            .to_string()
            .into_bytes()
    };
    let batch = [b"[".to_vec(), call("health", json!({})), b"]".to_vec()].concat();
    cases.push((batch, ErrorCode::INVALID_REQUEST));
    cases.push((call("no.such", json!({})), ErrorCode::METHOD_NOT_FOUND));
    cases.push((call("sync.pull", json!({"after_seq": 0})), ErrorCode::METHOD_NOT_FOUND));
    cases.push((call("message.send", json!({"to": 5})), ErrorCode::INVALID_PARAMS));
    let nobody = json!({"from": "a", "to": [], "text": "x", "project": "p"});
    cases.push((call("message.send", nobody), ErrorCode::INVALID_PARAMS));
    let unknown = json!({"events": [{"type": "a.b", "body": 1, "typo": 2}]});
    cases.push((call("event.append", unknown), ErrorCode::INVALID_PARAMS));
    let bad_type = json!({"events": [{"type": "Bad Type", "body": 1}]});
    cases.push((call("event.append", bad_type), ErrorCode::INVALID_PARAMS));
    for (body, code) in cases {
        let response = daemon.post(&body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
        assert_eq!(response.json()["error"]["code"], json!(code.0), "{shown}: {}", response.text());
    }
    assert_eq!(daemon.texts(), Vec::<String>::new());
    answers(&daemon);
}

#[test]
fn an_event_over_its_limit_is_refused_when_it_is_written() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    pair(&laptop, &server);
    let body = |bytes: usize| json!({"text": "z".repeat(bytes)});
    let append = |bytes| {
        let events = vec![event_of(&json!({"text": "beside it"})), event_of(&body(bytes))];
        laptop.call::<EventAppend>(AppendParams { events })
    };
    let error = append(limits::EVENT_MAX_BYTES).unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::TOO_LARGE), "{error}");
    assert_eq!(laptop.texts().len(), 0, "all or none");
    // As large as it may be, and it crosses the wire.
    append(limits::EVENT_MAX_BYTES - 1024).unwrap();
    assert_eq!(converge(SHORT, &[&laptop, &server]), 2);
    let ran = laptop.thrum(&["send", "--as", "a", "b", &"z".repeat(100_000)]).exits(0);
    drop(ran);
    let client = tests::harness::Client::new(&laptop);
    let ran = client.run_with(&["send", "--as", "a", "b", "-"], &"z".repeat(400_000)).exits(2);
    assert!(ran.stderr.contains("262144 bytes"), "{}", ran.stderr);
}

#[test]
fn pages_are_limited_by_bytes_too() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    for _ in 0..40 {
        laptop.append(["w".repeat(250_000)]);
    }
    pair(&laptop, &server);
    converge(LONG, &[&laptop, &server]);
    for daemon in [&laptop, &server] {
        let memory = process::peak_bytes(daemon.pid());
        assert!(memory < 96 * 1024 * 1024, "{}: {} MiB at most", daemon.name(), memory >> 20);
    }
}
