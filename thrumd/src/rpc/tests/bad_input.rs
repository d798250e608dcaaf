use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::super::limits::Limits;
use super::harness::{
    Harness, advance, bearer, body, closed, harness, patient, post, reply, until,
};

const MIB: usize = 1024 * 1024;

/// The head of a request with these headers besides.
fn head(headers: &str) -> String {
    format!("POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n")
}

#[tokio::test]
async fn without_a_token_every_method_but_pairing_is_answered_alike() {
    let harness = harness(patient()).await;
    for method in ["sync.pull", "sync.notify", "sync.peer_info", "nonsense", "panic"] {
        for params in ["{}", "[1]", "{\"token\":\"\"}", "{\"token\":7}", "{\"token\":\"00\"}"] {
            let reply = harness.call(method, params).await;
            assert_eq!((reply.status, reply.code()), (401, -32001), "{method} {params}");
        }
    }
    let reply = harness.call("pair.request", "{}").await;
    assert_eq!((reply.status, reply.code()), (200, -32002));
    assert_eq!(harness.handler.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_right_token_counts_in_the_header_and_in_the_params() {
    let harness = harness(patient()).await;
    let peer = harness.handler.tokens[0].1.to_string();
    let reply = harness.call_as_peer("sync.peer_info").await;
    assert_eq!((reply.status, reply.body["result"].as_str()), (200, Some(peer.as_str())));
    assert!(reply.head.to_lowercase().contains("content-type: application/json"));
    let reply =
        harness.call("sync.peer_info", &format!(r#"{{"token":"{}"}}"#, harness.token())).await;
    assert_eq!((reply.status, reply.body["result"].as_str()), (200, Some(peer.as_str())));
    let reply = harness.call_as_peer("nonsense").await;
    assert_eq!((reply.status, reply.code()), (200, -32601));
}

#[tokio::test]
async fn a_wrong_header_is_answered_before_the_body_is_read() {
    let harness = harness(patient()).await;
    let right = bearer(harness.token());
    let wrong = [
        bearer(&"0".repeat(64)),
        bearer(""),
        "Authorization: Basic eDp5\r\n".to_owned(),
        format!("Authorization: {}\r\n", harness.token()),
        format!("{right}{right}"),
    ];
    for header in wrong {
        let reply = harness.send(head(&format!("Content-Length: 500\r\n{header}"))).await;
        assert_eq!((reply.status, reply.code()), (401, -32001), "{header}");
    }
}

#[tokio::test]
async fn an_invalid_request_gets_a_clear_error() {
    let harness = harness(patient()).await;
    let call = body("pair.request", "{}");
    let cases = [
        ("{\"jsonrpc\":", 200, -32700),
        ("", 200, -32700),
        ("\u{fffd}\u{0}", 200, -32700),
        ("[]", 200, -32600),
        ("7", 200, -32600),
        ("{\"id\":1,\"method\":\"sync.pull\"}", 200, -32600),
    ];
    for (text, status, code) in cases {
        let reply = harness.send(post("", text)).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{text:?}");
        assert!(reply.body["id"].is_null() && reply.body["jsonrpc"] == "2.0");
    }
    let reply = harness.send(post(&bearer(harness.token()), &format!("[{call},{call}]"))).await;
    assert_eq!((reply.status, reply.code()), (200, -32600));
    assert!(reply.body["error"]["message"].as_str().unwrap().contains("batch"));
}

#[tokio::test]
async fn other_paths_methods_and_content_types_are_refused() {
    let harness = harness(patient()).await;
    let right = post("", &body("pair.request", "{}"));
    let path = harness.send(right.replace("/rpc", "/metrics")).await;
    assert_eq!((path.status, path.code()), (404, -32600));
    let method = harness.send("GET /rpc HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(method.status, 405);
    assert!(method.head.to_lowercase().contains("allow: post"), "{}", method.head);
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let reply = harness.send(right.replace("application/json", content_type)).await;
        assert_eq!((reply.status, reply.code()), (415, -32600));
    }
    let charset = right.replace("application/json", "Application/JSON; charset=utf-8");
    assert_eq!(harness.send(charset).await.status, 200);
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_before_it_is_read() {
    let harness = harness(patient()).await;
    for (length, header) in [(64 * 1024 + 1, String::new()), (MIB + 1, bearer(harness.token()))] {
        let reply = harness.send(head(&format!("Content-Length: {length}\r\n{header}"))).await;
        assert_eq!((reply.status, reply.code()), (413, -32007));
    }
}

#[tokio::test]
async fn a_body_of_10_mib_is_answered_although_the_caller_goes_on_sending() {
    let harness = harness(patient()).await;
    let mut stream = harness.connect().await;
    let (mut input, mut output) = stream.split();
    let head = head(&format!("Content-Length: {}\r\n", 10 * MIB));
    let sending = async {
        output.write_all(head.as_bytes()).await?;
        for _ in 0..10 {
            output.write_all(&vec![b' '; MIB]).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let reading = async {
        let mut text = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut input, &mut text).await.map(|_| text)
    };
    let (_, answer) = super::harness::soon(async { tokio::join!(sending, reading) }).await;
    let text = String::from_utf8(answer.unwrap()).unwrap();
    assert!(text.starts_with("HTTP/1.1 413") && text.contains("-32007"), "{text}");
}

#[tokio::test]
async fn a_body_without_a_length_is_refused_where_it_grows_too_large() {
    let harness = harness(patient()).await;
    let mut stream = harness.connect().await;
    stream.write_all(head("Transfer-Encoding: chunked\r\n").as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(4096));
    for _ in 0..17 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    let reply = reply(&mut stream).await;
    assert_eq!((reply.status, reply.code()), (413, -32007));
    closed(&mut stream).await;
}

#[tokio::test]
async fn a_large_body_is_taken_from_a_peer() {
    let harness = harness(patient()).await;
    let mut text = body("sync.peer_info", "{}");
    text.push_str(&" ".repeat(MIB - text.len()));
    let reply = harness.send(post(&bearer(harness.token()), &text)).await;
    assert_eq!((reply.status, reply.code()), (200, 0));
}

#[tokio::test]
async fn endless_headers_are_cut() {
    let harness = harness(patient()).await;
    let mut stream = harness.connect().await;
    let mut sent = 0;
    let line = format!("X-A: {}\r\n", "a".repeat(1000));
    let mut result = stream.write_all(b"POST /rpc HTTP/1.1\r\nHost: x\r\n").await;
    // Refused after 16 KiB; the rest is discarded for a while, so that the answer arrives.
    while result.is_ok() && sent < 64 * MIB {
        result = stream.write_all(line.as_bytes()).await;
        sent += line.len();
    }
    assert!(result.is_err(), "{sent} bytes of headers were taken");
    let many: String = (0..500).map(|n| format!("X-{n}: a\r\n")).collect();
    let reply = harness.send(format!("POST /rpc HTTP/1.1\r\n{many}\r\n")).await;
    assert_eq!(reply.status, 431);
}

#[tokio::test]
async fn slow_headers_and_slow_bodies_are_cut() {
    let quick = Duration::from_millis(100);
    let hasty = harness(Limits { unauthenticated_idle: quick, ..patient() }).await;
    let mut stream = hasty.connect().await;
    // Byte by byte: always progress, never a complete head.
    let dripping = async {
        while stream.write_all(b"P").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    super::harness::soon(dripping).await;

    let harness = harness(Limits { body: quick, ..patient() }).await;
    let mut stream = harness.connect().await;
    let whole = post("", &body("pair.request", "{}"));
    stream.write_all(&whole.as_bytes()[..whole.len() - 5]).await.unwrap();
    let reply = reply(&mut stream).await;
    assert_eq!((reply.status, reply.code()), (408, -32600));
    closed(&mut stream).await;
}

#[tokio::test]
async fn a_request_without_an_id_is_done_and_not_answered() {
    let harness = harness(patient()).await;
    let text = body("sync.peer_info", "{}").replace("\"id\":1,", "");
    let reply = harness.send(post(&bearer(harness.token()), &text)).await;
    assert_eq!((reply.status, reply.body), (204, serde_json::Value::Null));
}

/// Whether something was sent to a socket that it has not read, by the system's own list.
fn has_unread(socket: SocketAddr, from: SocketAddr) -> bool {
    let port = |address: SocketAddr| format!(":{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    table.lines().any(|line| {
        let row: Vec<_> = line.split_whitespace().collect();
        row.len() > 9
            && row[1].ends_with(&port(socket))
            && row[2].ends_with(&port(from))
            && !row[4].ends_with(":00000000")
    })
}

/// Sends a request in pieces, with this pause before each, until it is answered. Returns the status.
async fn in_pieces(harness: &Harness, headers: &str, pause: Duration, pieces: usize) -> u16 {
    let mut text = body("pair.request", "{}");
    text.push_str(&" ".repeat(pieces));
    let request = post(headers, &text);
    let (begin, rest) = request.split_at(request.len() - pieces);
    let mut stream = harness.connect().await;
    let (ours, theirs) = (stream.local_addr().unwrap(), harness.address);
    let settled = async || {
        until(async || !has_unread(theirs, ours)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    stream.write_all(begin.as_bytes()).await.unwrap();
    for piece in rest.bytes() {
        settled().await;
        advance(pause).await;
        settled().await;
        if has_unread(ours, theirs) {
            break;
        }
        stream.write_all(&[piece]).await.unwrap();
    }
    reply(&mut stream).await.status
}

#[tokio::test]
async fn the_body_of_a_peer_may_come_slowly_but_not_pause_nor_take_forever() {
    let harness = harness(patient()).await;
    // Time for a busy machine: the clock goes on by itself as well.
    let pause = patient().body / 2 + Duration::from_secs(1);
    let peer = bearer(harness.token());
    assert_eq!(in_pieces(&harness, &peer, pause, 3).await, 200);
    assert_eq!(in_pieces(&harness, "", pause, 3).await, 408, "a stranger's");
    assert_eq!(in_pieces(&harness, &peer, 2 * pause, 3).await, 408, "a pause");
    let whole = patient().peer_body.div_duration_f64(pause) as usize + 2;
    assert_eq!(in_pieces(&harness, &peer, pause, whole).await, 408, "forever");
}
