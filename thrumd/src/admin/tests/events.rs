use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::client::{LIMIT, Running, read};

/// The next `count` events of a stream, each with its id.
async fn take(body: &mut Incoming, text: &mut String, count: usize) -> Vec<(u64, Value)> {
    let mut events = Vec::new();
    while events.len() < count {
        while let Some((block, rest)) = text.split_once("\n\n") {
            let mut id = 0;
            let mut data = Vec::new();
            for line in block.lines() {
                match line.split_once(": ").unwrap() {
                    ("id", number) => id = number.parse().unwrap(),
                    ("data", line) => data.push(line.to_owned()),
                    other => panic!("{other:?}"),
                }
            }
            events.push((id, serde_json::from_str(&data.join("\n")).unwrap()));
            *text = rest.to_owned();
        }
        if events.len() < count {
            let frame = tokio::time::timeout(LIMIT, body.frame()).await.expect("more in time");
            let bytes = frame.expect("no end yet").unwrap().into_data().unwrap();
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
    events
}

async fn append(daemon: &Running, kind: &str, project: &str) {
    let draft = json!({"type": kind, "project": project, "body": {"text": "a\r\nb"}});
    daemon.result("event.append", json!({"events": [draft]})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_every_event_once_while_more_are_written() {
    let daemon = std::sync::Arc::new(Running::start(&[]).await);
    for _ in 0..40 {
        append(&daemon, "note", "p").await;
    }
    let mut body = daemon.get("/events?after=0").await.into_body();
    let writer = daemon.clone();
    let writing = tokio::spawn(async move {
        for _ in 0..160 {
            append(&writer, "note", "p").await;
        }
    });
    let mut text = String::new();
    let events = take(&mut body, &mut text, 200).await;
    let ids: Vec<u64> = events.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    for (id, data) in &events {
        assert_eq!(data["sequence"].as_u64(), Some(*id));
        assert_eq!(data["event"]["body"]["text"], "a\r\nb");
    }
    writing.await.unwrap();
    drop(body);
    let daemon = std::sync::Arc::into_inner(daemon).unwrap();
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_resumes_at_a_sequence_and_applies_its_filters() {
    let daemon = Running::start(&[]).await;
    for kind in ["a", "b", "a", "b", "b"] {
        append(&daemon, kind, "p q").await;
    }
    let mut text = String::new();
    let mut body = daemon.get("/events?after=2&type=b&project=p%20q").await.into_body();
    let events = take(&mut body, &mut text, 2).await;
    assert_eq!(events.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [4, 5]);
    append(&daemon, "a", "p q").await;
    append(&daemon, "b", "other").await;
    append(&daemon, "b", "p q").await;
    assert_eq!(take(&mut body, &mut text, 1).await[0].0, 8);

    let mut body = daemon.get("/events?newest=true&limit=2").await.into_body();
    let events = take(&mut body, &mut String::new(), 2).await;
    assert_eq!(events.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [7, 8]);

    let (status, answer) = read(daemon.get("/events?after=9").await).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::CONFLICT, &json!(-32006)));
    let (status, answer) = read(daemon.get("/events?after=x").await).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32602)));
    drop(body);
    daemon.stopped().await;
}
