//! `GET /changes`: what it says of which event.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use thrum_api::Sequence;
use thrum_api::local::{Change, Problem};

use super::super::changes::ChangeStream;
use super::client::{LIMIT, Running};

const PROJECT: &str = "acme/app";

/// A reader of the stream.
struct Reader {
    body: Incoming,
    text: String,
    first: Sequence,
}

impl Reader {
    async fn of(daemon: &Running) -> Self {
        let response = daemon.get("/changes").await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut reader =
            Self { body: response.into_body(), text: String::new(), first: Sequence::ZERO };
        let first = reader.next().await.unwrap();
        assert!(first.status && first.agents && first.deliveries, "{first:?}");
        reader.first = first.read_seq;
        reader
    }

    /// The next change; None at the end.
    async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let change = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
                self.text = rest.to_owned();
                return Some(change);
            }
            let frame = tokio::time::timeout(LIMIT, self.body.frame()).await.expect("in time")?;
            let bytes = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Everything that is told until this is true of it.
    async fn until(&mut self, is_enough: impl Fn(&Change) -> bool) -> Change {
        let mut all = self.next().await.expect("no end");
        while !is_enough(&all) {
            let next = self.next().await.expect("no end");
            assert!(next.status || next.agents || next.deliveries || next.read_seq > all.read_seq);
            all = Change {
                status: all.status || next.status,
                agents: all.agents || next.agents,
                deliveries: all.deliveries || next.deliveries,
                ..next
            };
        }
        all
    }

    /// Everything that is told until the views are at the end of the log.
    async fn up_to_end(&mut self, daemon: &Running) -> Change {
        let head = daemon.context.log.head().position.sequence;
        self.until(|change| change.read_seq >= head).await
    }
}

async fn register(daemon: &Running, agent: &str) {
    daemon.result("agent.register", json!({"agent": agent, "project": PROJECT})).await;
}

async fn send(daemon: &Running, text: &str) -> Value {
    let params = json!({"from": "planner", "to": ["coder"], "project": PROJECT, "text": text});
    daemon.result("message.send", params).await
}

/// A daemon with two agents, and everything told that was so far.
async fn with_agents() -> (Running, Reader) {
    let daemon = Running::start(&[]).await;
    for agent in ["planner", "coder"] {
        register(&daemon, agent).await;
    }
    let mut reader = Reader::of(&daemon).await;
    if reader.first < daemon.context.log.head().position.sequence {
        reader.up_to_end(&daemon).await;
    }
    (daemon, reader)
}

fn flags(change: &Change) -> [bool; 3] {
    [change.status, change.agents, change.deliveries]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_sets_the_flags_of_what_it_changes() {
    let (daemon, mut reader) = with_agents().await;
    let sent = send(&daemon, "hello").await;
    let told = reader.up_to_end(&daemon).await;
    assert_eq!(flags(&told), [false, false, true], "a message between agents that are known");
    assert_eq!((json!(told.read_seq), told.head_seq), (sent["sequence"].clone(), told.read_seq));

    let daemon_id = daemon.context.daemon;
    let message = json!({"event_id": sent["event_id"], "origin_daemon": daemon_id});
    let read = json!({"agent": "coder", "messages": [message], "route": "page"});
    daemon.result("message.mark_read", read).await;
    assert_eq!(flags(&reader.next().await.unwrap()), [false, false, true], "a read mark");

    register(&daemon, "tester").await;
    assert_eq!(flags(&reader.up_to_end(&daemon).await), [false, true, true], "a new agent");

    let group = json!({"group": "team", "project": PROJECT, "add": ["coder"]});
    daemon.result("group.change", group).await;
    assert_eq!(flags(&reader.up_to_end(&daemon).await), [false, true, true], "a group");

    let note = json!({"events": [{"type": "note", "body": {}}]});
    daemon.result("event.append", note).await;
    assert_eq!(flags(&reader.up_to_end(&daemon).await), [false; 3], "an event of another type");

    let delete = json!({"agent": "planner", "message": message});
    daemon.result("message.delete", delete).await;
    assert_eq!(flags(&reader.up_to_end(&daemon).await), [false, false, true], "a deletion");

    let session = json!({"agent": "coder", "project": PROJECT, "session": "s1", "tool": "codex",
        "pid": std::process::id()});
    daemon.result("session.start", session).await;
    let told = reader.until(|told| told.agents).await;
    assert_eq!(flags(&told), [false, true, true], "a session");
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_ends_with_the_daemon() {
    let (daemon, mut reader) = with_agents().await;
    daemon.context.stop.cancel();
    while reader.next().await.is_some() {}
    daemon.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_are_made_anew_change_everything() {
    let (daemon, mut reader) = with_agents().await;
    let views = daemon.dir.path().join("state/views.db");
    for file in ["", "-wal", "-shm"] {
        let path = format!("{}{file}", views.display());
        if let Err(error) = std::fs::remove_file(&path) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{path}");
        }
    }
    send(&daemon, "after that").await;
    daemon.result("message.list", json!({})).await;
    let told = reader.until(|told| told.status && told.agents).await;
    assert_eq!(flags(&told), [true; 3]);
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_and_the_end_of_a_problem_are_told() {
    let (daemon, mut reader) = with_agents().await;
    let (log, away) = (daemon.dir.path().join("state/log.db"), daemon.dir.path().join("log.db"));
    std::fs::rename(&log, &away).unwrap();
    daemon.context.log.files().check().unwrap_err();
    assert_eq!(flags(&reader.next().await.unwrap()), [true, false, false]);
    std::fs::rename(&away, &log).unwrap();
    daemon.context.log.files().check().unwrap();
    assert_eq!(flags(&reader.next().await.unwrap()), [true, false, false]);
    daemon.result("quarantine.clear", json!({"through": 0})).await;
    assert_eq!(flags(&reader.next().await.unwrap()), [true, false, false]);
    let taken = Problem::new("metrics_listen", "the port is taken".to_owned(), None, None);
    for problem in [Some(taken), None] {
        daemon.context.metrics_problem.send_replace(problem);
        assert_eq!(flags(&reader.next().await.unwrap()), [true, false, false]);
    }
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_slow_gets_one_change_that_says_everything() {
    let (daemon, _reader) = with_agents().await;
    let mut slow = Box::pin(ChangeStream::new(daemon.context.clone()).unwrap());
    assert!(slow.next().await.unwrap().status);
    register(&daemon, "tester").await;
    for number in 0..40 {
        send(&daemon, &format!("number {number}")).await;
    }
    daemon.result("message.list", json!({})).await;
    let told = slow.next().await.unwrap();
    assert_eq!((flags(&told), told.read_seq), ([false, true, true], told.head_seq));
    assert_eq!(told.head_seq, daemon.context.log.head().position.sequence);
    let more = tokio::time::timeout(Duration::from_millis(300), slow.next()).await;
    assert!(more.is_err(), "there is nothing more: {more:?}");
    daemon.stopped().await;
}
