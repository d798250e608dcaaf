//! Peers that are not a thrumd, or a faulty one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thrum_api::local::PeerState;
use thrum_api::peer::Run;
use thrum_api::proof::Signature;
use thrum_api::{ErrorCode, Origin, OriginSequence, Sequence, SequencedEvent, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::harness::{Daemon, converge, daemon, eventually, pair};
use crate::keys::SecretKey;
use crate::peer::Peer;
use crate::proof::{chain_next, chain_start, point_message};
use crate::sync::pull::BULK_PAGES;

/// Answers every request with these bytes, or never.
async fn fake_peer(answer: Option<String>) -> SocketAddr {
    scripted(move |_| answer.clone()).await
}

/// Answers each request by its number, from 0.
async fn scripted(answer: impl Fn(usize) -> Option<String> + Clone + Send + 'static) -> SocketAddr {
    let asked = Arc::new(AtomicUsize::new(0));
    answering(move |_| answer(asked.fetch_add(1, Ordering::SeqCst))).await
}

/// Answers each request by its text.
pub(super) async fn answering(
    answer: impl Fn(&str) -> Option<String> + Clone + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                while let Ok(read) = stream.read(&mut request).await
                    && read > 0
                {
                    if let Some(answer) = answer(&String::from_utf8_lossy(&request[..read]))
                        && stream.write_all(answer.as_bytes()).await.is_err()
                    {
                        break;
                    }
                }
            });
        }
    });
    address
}

pub(super) fn http(kind: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

async fn add_peer(daemon: &Daemon, address: SocketAddr) {
    daemon.registry.put(fake_record(address)).await.unwrap();
}

pub(in crate::sync) fn fake_record(address: SocketAddr) -> Peer {
    Peer {
        daemon_id: crate::testing::daemon(),
        name: "fake".to_owned(),
        address: address.to_string(),
        node: None,
        token: Token::from_bytes(&[7; 32]),
        paired_at: crate::clock::now(),
        unconfirmed: false,
        removed_us: false,
        by_policy: None,
        former: Vec::new(),
    }
}

/// Waits until the status of the peer contains these words; checks that other peers still sync.
async fn status_shows(address: SocketAddr, words: &str) {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    add_peer(&a, address).await;
    let says = async || {
        let mut all = a.sync.status().await.into_iter();
        let status = all.find(|status| status.name == "fake").unwrap();
        matches!(status.state, PeerState::BackingOff | PeerState::NeverReached)
            && status.last_error.is_some_and(|error| error.contains(words))
    };
    assert!(eventually(says).await, "{:?}", a.sync.status().await);
    b.write(1).await;
    converge(&[&a, &b], 1).await;
}

#[tokio::test]
async fn a_peer_that_answers_html_is_not_a_thrumd() {
    let page = http("text/html", "<html>hello</html>");
    status_shows(fake_peer(page).await, "is not a thrumd: it sent HTTP 200 OK with text/html")
        .await;
}

#[tokio::test]
async fn a_peer_that_answers_other_json_is_named() {
    let address = fake_peer(http("application/json", "{\"hello\":1}")).await;
    status_shows(address, "can't be read").await;
}

#[tokio::test]
async fn a_peer_that_answers_too_much_is_cut_off() {
    let kind = "application/json";
    let huge = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 99999999\r\n\r\n{}",
        "x".repeat(6 << 20)
    );
    status_shows(fake_peer(Some(huge)).await, "with more than 2097152 bytes").await;
}

#[tokio::test]
async fn a_page_with_a_run_that_nobody_signed_is_a_bad_answer() {
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"runs\":[{{\"previous\":\"{}\",\
         \"signature\":\"{}\",\"events\":[{{\"sequence\":1,\"event\":{{}}}}]}}],\"next_seq\":1,\
         \"more_available\":false,\"head_seq\":1,\"floor_seq\":0}}}}",
        "A".repeat(43),
        "A".repeat(86)
    );
    let address = fake_peer(http("application/json", &body)).await;
    status_shows(
        address,
        "it brings events that the machines which are said to have written them did not sign: 1",
    )
    .await;
}

#[tokio::test]
async fn the_signed_runs_of_a_page_are_stored_whatever_else_it_has() {
    let key = SecretKey::from_seed(&[7; 32]);
    let origin = Origin { daemon: key.id(), epoch: crate::ids::epoch() };
    let event = serde_json::json!({
        "event_id": crate::ids::event(), "origin_daemon": origin.daemon, "origin_epoch": origin.epoch,
        "origin_sequence": 1, "hlc": "0192f3a1b2c3-0004", "timestamp": "2020-06-24T16:00:00.123Z",
        "type": "test.happened", "body": {},
    });
    let event = serde_json::value::to_raw_value(&event).unwrap();
    let previous = chain_start(&origin);
    let chain = chain_next(previous, event.get().as_bytes());
    let signature = key.sign(&point_message(&origin, OriginSequence(1), chain));
    let run = |sequence, signature| Run {
        previous,
        signature,
        events: vec![SequencedEvent { sequence: Sequence(sequence), event: event.clone() }],
    };
    let runs = [run(1, Signature([7; 64])), run(2, signature)];
    let page = serde_json::json!({
        "runs": runs, "next_seq": 2, "more_available": false, "head_seq": 2, "floor_seq": 0,
    });
    let page = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{page}}}");
    // What is asked after that waits.
    let peer = answering(move |request| {
        request.contains("\"after_seq\":0").then(|| http("application/json", &page)).flatten()
    });
    let a = daemon("a").await;
    add_peer(&a, peer.await).await;
    let status = async || a.sync.status().await.remove(0);
    let failed =
        async || status().await.last_error.is_some_and(|error| error.contains("did not sign: 1"));
    assert!(eventually(failed).await, "{:?}", status().await);
    assert_eq!(a.events().await, [event.get()]);
    let checkpoint = a.log.checkpoint(status().await.daemon_id).await.unwrap();
    assert_eq!((checkpoint.position.sequence, checkpoint.is_withheld), (Sequence(2), true));
}

#[tokio::test]
async fn bulk_pages_are_limited_and_short_logs_sync_meanwhile() {
    // Each announces a second page and never sends it.
    let asked = Arc::new(AtomicUsize::new(0));
    let a = daemon("a").await;
    for _ in 0..BULK_PAGES + 2 {
        let asked = Arc::clone(&asked);
        let endless = answering(move |request| {
            if !request.contains("\"after_seq\":0") {
                asked.fetch_add(usize::from(request.contains("sync.pull")), Ordering::SeqCst);
                return None;
            }
            let page = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"runs\":[],\"next_seq\":1,\
                        \"more_available\":true,\"head_seq\":2,\"floor_seq\":0}}";
            http("application/json", page)
        });
        add_peer(&a, endless.await).await;
    }
    assert!(eventually(async || asked.load(Ordering::SeqCst) >= BULK_PAGES).await);
    let begun = Instant::now();
    let b = daemon("b").await;
    pair(&a, &b).await;
    b.write(5).await;
    converge(&[&a, &b], 5).await;
    // Later the first pulls time out.
    let asked = asked.load(Ordering::SeqCst);
    assert!(asked == BULK_PAGES || begun.elapsed() > Duration::from_secs(10), "{asked} at once");
}

#[tokio::test]
async fn the_page_size_shrinks_after_a_broken_answer_and_grows_again() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let peer = answering(move |request| {
        let mut asked = heard.lock();
        if request.contains("sync.pull") {
            asked.push(request.contains("\"limit\":125"));
        }
        match asked.len() {
            2 => http(
                "application/json",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"runs\":[],\"next_seq\":1,\
                 \"more_available\":true,\"head_seq\":2,\"floor_seq\":0}}",
            ),
            _ => Some("no HTTP\r\n\r\n".to_owned()),
        }
    });
    let a = daemon("a").await;
    add_peer(&a, peer.await).await;
    assert!(eventually(async || asked.lock().len() >= 3).await);
    assert_eq!(asked.lock()[..3], [false, true, false]);
}

#[tokio::test]
async fn a_join_waits_for_a_grant_that_is_still_missing() {
    let refusal = |granted: bool| {
        let id = crate::testing::daemon();
        let data = format!("{{\"policy\":{granted},\"id\":\"{id}\"}}");
        http(
            "application/json",
            &format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{{\"code\":-32001,\"message\":\"no \
                 token\",\"data\":{data}}}}}"
            ),
        )
    };
    let a = daemon("a").await;
    let hub = scripted(move |asked| refusal(asked >= 1)).await;
    assert_eq!(a.sync.resolve(&hub.to_string()).await.unwrap().by_policy, Some(true));
}

#[tokio::test]
async fn resolving_tells_no_listener_from_another_program() {
    let a = daemon("a").await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = a.sync.resolve(&nobody.to_string()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UNREACHABLE);
    assert!(error.message.starts_with("nobody answers at"), "{error:?}");
    let other = fake_peer(http("text/html", "hello")).await;
    let error = a.sync.resolve(&other.to_string()).await.unwrap_err();
    assert!(error.message.starts_with("no thrumd answers at"), "{error:?}");
    assert!(error.member("hint").is_some());
}

#[tokio::test]
async fn an_endless_pull_ends_when_the_peer_is_removed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let endless = scripted(move |number| {
        count.fetch_add(1, Ordering::SeqCst);
        let next = number + 1;
        http(
            "application/json",
            &format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"runs\":[],\"next_seq\":{next},\
                 \"more_available\":true,\"head_seq\":999999999,\"floor_seq\":0}}}}"
            ),
        )
    });
    let (a, b) = (daemon("a").await, daemon("b").await);
    add_peer(&a, endless.await).await;
    assert!(eventually(async || asked.load(Ordering::SeqCst) > 20).await);
    let peer = a.registry.all().remove(0).daemon_id;
    a.sync.remove("fake").await.unwrap();
    let at_removal = asked.load(Ordering::SeqCst);
    // An endless pull goes on while these come and go.
    pair(&a, &b).await;
    for count in 1..=20 {
        b.write(1).await;
        converge(&[&a, &b], count).await;
    }
    // The request that was under way, and the message that it was removed.
    assert!(asked.load(Ordering::SeqCst) <= at_removal + 2, "it is still asked");
    assert_eq!(a.log.checkpoint(peer).await.unwrap().position, thrum_api::LogPosition::START);
}

#[tokio::test]
async fn the_error_text_of_a_peer_is_shortened_and_on_one_line() {
    let body = |error: &str| {
        http("application/json", &format!("{{\"jsonrpc\":\"2.0\",\"id\":1,{error}}}"))
    };
    let long = "x".repeat(100_000);
    for answer in [
        format!("\"error\":{{\"code\":-32603,\"message\":\"a\\nb\\u001b[2J{long}\"}}"),
        format!("\"result\":\"a\\nb\\u001b[2J{long}\""),
    ] {
        let a = daemon("a").await;
        add_peer(&a, fake_peer(body(&answer)).await).await;
        let failed = async || a.sync.status().await.remove(0).last_error.is_some();
        assert!(eventually(failed).await, "{:?}", a.sync.status().await);
        let error = a.sync.status().await.remove(0).last_error.unwrap();
        assert!(error.contains("a\\n") && !error.contains('\n'), "{error:?}");
        assert!(error.len() < 500 && !error.contains(char::is_control), "{error:?}");
    }
}

#[tokio::test]
async fn pairing_again_clears_failures_on_the_accepting_side_too() {
    let a = daemon("a").await;
    add_peer(&a, fake_peer(http("application/json", "{\"hello\":1}")).await).await;
    let is = async |state| a.sync.status().await.remove(0).state == state;
    assert!(eventually(async || is(PeerState::BackingOff).await).await);
    let known = a.registry.all().remove(0);
    // As a new pairing would store it, with an address where nothing answers.
    let silent = fake_peer(None).await;
    let again = Peer { token: Token::from_bytes(&[8; 32]), address: silent.to_string(), ..known };
    a.registry.put(again).await.unwrap();
    assert!(eventually(async || is(PeerState::NeverReached).await).await, "the old failures count");
    assert_eq!(a.sync.status().await.remove(0).failures, 0);
}
