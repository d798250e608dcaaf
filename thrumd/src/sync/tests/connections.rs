//! Connections that a network change or a sleep may have cut silently are not reused, and others are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use thrum_api::local::PeerState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::fake_peers::{answering, fake_record, http};
use super::harness::{Daemon, daemon, daemon_with_clock, eventually};
use crate::peer::Peer;
use crate::sync::QUEUE;
use crate::sync::hub::Input;
use crate::sync::shared::Message;
use crate::tailnet::Hint;
use crate::testing::until;

static SECONDS: AtomicU64 = AtomicU64::new(1);

/// A clock that stands still until the test says that the machine has slept.
fn clock() -> Duration {
    Duration::from_secs(SECONDS.load(Ordering::SeqCst))
}

#[derive(Default)]
struct Recorded {
    /// Numbers of the connections that are open.
    open: Mutex<BTreeSet<usize>>,
    /// The connection of each request.
    requests: Mutex<Vec<usize>>,
}

/// A peer with an empty log, which records its open connections and counts the requests.
async fn counting_peer(daemon: &Daemon) -> Arc<Recorded> {
    counting_peer_with_record(daemon).await.0
}

async fn counting_peer_with_record(daemon: &Daemon) -> (Arc<Recorded>, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let recorded = Arc::new(Recorded::default());
    let counts = Arc::clone(&recorded);
    tokio::spawn(async move {
        let page = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"runs\":[],\"next_seq\":0,\
                    \"more_available\":false,\"head_seq\":0,\"floor_seq\":0}}";
        let answer = http("application/json", page).unwrap();
        for number in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let (counts, answer) = (Arc::clone(&counts), answer.clone());
            counts.open.lock().insert(number);
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    counts.requests.lock().push(number);
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        break;
                    }
                }
                counts.open.lock().remove(&number);
            });
        }
    });
    let record = fake_record(address);
    daemon.registry.put(record.clone()).await.unwrap();
    (recorded, record)
}

/// Makes a request and waits until it arrived.
async fn ask(daemon: &Daemon, recorded: &Recorded) {
    let before = recorded.requests.lock().len();
    daemon.sync.sync_now(None).await;
    let asked = async || recorded.requests.lock().len() > before;
    assert!(eventually(asked).await, "no request came");
}

/// Whether every connection that is open now is closed once `change` has happened.
async fn closes_all(recorded: &Recorded, change: impl AsyncFnOnce()) -> bool {
    let before = recorded.open.lock().clone();
    assert!(!before.is_empty(), "nothing is connected");
    change().await;
    eventually(async || recorded.open.lock().is_disjoint(&before)).await
}

#[tokio::test]
async fn a_network_change_and_a_sleep_close_connections() {
    let daemon = daemon_with_clock("a", clock).await;
    let recorded = counting_peer(&daemon).await;
    ask(&daemon, &recorded).await;
    let change = async || daemon.loopback.hint(Hint::OurNetwork);
    assert!(closes_all(&recorded, change).await, "a connection outlived a change of the network");

    ask(&daemon, &recorded).await;
    let sleep = async || {
        SECONDS.fetch_add(3600, Ordering::SeqCst);
        // The sleep is detected with the next input.
        daemon.sync.heard_from(daemon.id).await;
    };
    assert!(closes_all(&recorded, sleep).await, "a connection outlived a sleep");
}

/// The peer of a machine that is about to wake up, with the number of its requests before.
static WAKING: Mutex<Option<(Arc<Recorded>, usize)>> = Mutex::new(None);
static SLEPT: AtomicBool = AtomicBool::new(false);

/// A clock that takes its time when the machine wakes up: what goes out before it was read has arrived by then.
fn slow_clock() -> Duration {
    if let Some((recorded, before)) = WAKING.lock().take() {
        SLEPT.store(true, Ordering::SeqCst);
        // What the driver has started runs on meanwhile.
        tokio::task::block_in_place(|| {
            for _ in 0..100 {
                if recorded.requests.lock().len() == before {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
    }
    Duration::from_secs(if SLEPT.load(Ordering::SeqCst) { 3600 } else { 1 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleep_is_noticed_before_the_event_that_ended_it_is_handled() {
    let daemon = daemon_with_clock("a", slow_clock).await;
    let recorded = counting_peer(&daemon).await;
    let in_sync = async || daemon.sync.status().await[0].state == PeerState::InSync;
    // A pull, and a question for its name and version: nothing else comes until something happens.
    until(async || recorded.requests.lock().len() == 2 && in_sync().await).await;
    let (open, before) = (recorded.open.lock().clone(), recorded.requests.lock().len());
    *WAKING.lock() = Some((Arc::clone(&recorded), before));
    daemon.write(1).await;
    until(async || recorded.requests.lock().len() > before).await;
    let later = recorded.requests.lock()[before..].to_vec();
    assert!(!later.iter().any(|connection| open.contains(connection)), "{later:?} of {open:?}");
}

#[tokio::test]
async fn a_change_of_one_node_closes_the_connections_of_its_peer_alone() {
    let daemon = daemon("a").await;
    let (recorded, mut moved) = counting_peer_with_record(&daemon).await;
    let other = counting_peer(&daemon).await;
    ask(&daemon, &recorded).await;
    until(async || daemon.sync.status().await.iter().all(|it| it.state == PeerState::InSync)).await;
    // From now on it can't be dialled: this kind of tailnet has no nodes.
    moved.node = Some("n1".to_owned());
    daemon.registry.put(moved.clone()).await.unwrap();
    let kept = other.open.lock().clone();
    let change =
        async || daemon.loopback.hint(Hint::Nodes(["n1".to_owned(), "n2".to_owned()].into()));
    assert!(closes_all(&recorded, change).await);
    let state = async |id| {
        let all = daemon.sync.status().await;
        all.iter().find(|it| it.daemon_id == id).map(|it| it.state)
    };
    until(async || state(moved.daemon_id).await == Some(PeerState::BackingOff)).await;
    assert!(kept.is_subset(&other.open.lock()));
}

#[tokio::test]
async fn what_a_check_finds_is_the_state_of_the_peer() {
    let refused = "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32001,\"message\":\"no\"}}";
    let page = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"runs\":[],\"next_seq\":0,\
                \"more_available\":false,\"head_seq\":0,\"floor_seq\":0}}";
    let address = answering(move |request| {
        let answer = if request.contains("sync.pull") { page } else { refused };
        http("application/json", answer)
    });
    let daemon = daemon("a").await;
    let peer = fake_record(address.await);
    daemon.registry.put(peer.clone()).await.unwrap();
    let state = async || daemon.sync.status().await[0].state;
    assert!(eventually(async || state().await == PeerState::InSync).await);
    // Nothing asks it but the check.
    daemon.sync.check(&peer).await;
    assert_eq!(state().await, PeerState::RemovedUs);
}

#[tokio::test]
async fn a_peer_that_does_not_say_its_name_and_version_holds_up_no_pull() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let daemon = daemon("a").await;
    let pulled = Arc::new(AtomicUsize::new(0));
    let (count, address) = (Arc::clone(&pulled), listener.local_addr().unwrap());
    tokio::spawn(async move {
        let page = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"runs\":[],\"next_seq\":0,\
                    \"more_available\":false,\"head_seq\":0,\"floor_seq\":0}}";
        let answer = http("application/json", page).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = stream.read(&mut request).await {
            if !String::from_utf8_lossy(&request[..read]).contains("sync.pull") {
                break;
            }
            count.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        // Asked for them, on the connection that the pull has left: it answers never, and is not given up before the
        // pull counts as done.
        assert_eq!(stream.read(&mut request).await.unwrap_or(0), 0);
        count.fetch_add(1000, Ordering::SeqCst);
    });
    daemon.registry.put(fake_record(address)).await.unwrap();
    let state = async || daemon.sync.status().await[0].state;
    assert!(eventually(async || state().await == PeerState::InSync).await);
    assert_eq!(pulled.load(Ordering::SeqCst), 1, "the question was given up first");
}

#[tokio::test]
async fn inputs_keep_their_order_when_the_queue_is_full() {
    let daemon = daemon("a").await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let peer = fake_record(nobody);
    daemon.registry.put(peer.clone()).await.unwrap();
    let state = async || daemon.sync.status().await[0].state;
    assert!(eventually(async || state().await == PeerState::NeverReached).await);
    // Nothing else runs on this thread unless these wait.
    for _ in 0..3 * QUEUE {
        daemon.sync.heard_from(daemon.id).await;
    }
    daemon.sync.shared.post(Message::Input(Input::RemovedByPeer(peer.daemon_id))).await;
    assert_eq!(state().await, PeerState::RemovedUs);
}
