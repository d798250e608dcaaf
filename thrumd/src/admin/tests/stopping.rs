//! Programs that call while the daemon stops.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::client::{LIMIT, Running};

fn send(text: &str) -> String {
    let event = json!({"type": "test.happened", "body": {"text": text}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "event.append",
        "params": {"events": [event]}})
    .to_string();
    let length = body.len();
    format!(
        "POST /rpc HTTP/1.1\r\nhost: thrumd\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Everything that is received until the daemon disconnects.
async fn read(mut stream: UnixStream) -> String {
    let mut text = String::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_string(&mut text));
    assert!(read.await.is_ok(), "it does not hang up; so far {text:?}");
    text
}

#[tokio::test]
async fn a_program_connected_before_the_stop_is_answered() {
    // A connection whose request the daemon has not seen yet; repeated, because each may be missed by
    // chance.
    for _ in 0..10 {
        let daemon = Running::start(&[]).await;
        let mut early = UnixStream::connect(&daemon.socket).await.unwrap();
        let mut slow = UnixStream::connect(&daemon.socket).await.unwrap();
        let mut late = UnixStream::connect(&daemon.socket).await.unwrap();
        let quiet = UnixStream::connect(&daemon.socket).await.unwrap();
        // The daemon accepts in order, so it has accepted all.
        daemon.result("health", json!({})).await;
        early.write_all(send("early").as_bytes()).await.unwrap();
        slow.write_all(&send("slow").as_bytes()[..9]).await.unwrap();
        // The test does not yield before the stop, so this one is not accepted by then.
        let mut unseen = std::os::unix::net::UnixStream::connect(&daemon.socket).unwrap();
        std::io::Write::write_all(&mut unseen, send("unseen").as_bytes()).unwrap();
        unseen.set_nonblocking(true).unwrap();
        let unseen = UnixStream::from_std(unseen).unwrap();
        daemon.context.stop.cancel();
        slow.write_all(&send("slow").as_bytes()[9..]).await.unwrap();
        late.write_all(send("late").as_bytes()).await.unwrap();
        for stream in [early, slow, unseen, late] {
            let answer = read(stream).await;
            let body = answer.split("\r\n\r\n").nth(1).expect(&answer);
            let answer: Value = serde_json::from_str(body).unwrap();
            assert!(answer["result"]["appended"].is_array(), "{answer}");
        }
        // An idle program does not delay the stop.
        assert_eq!(read(quiet).await, "");
        daemon.ended().await;
    }
}
