//! What a daemon with many peers pays for an event, for each of them.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use thrum_api::Sequence;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use super::appends::{alone, append_one};
use super::bootstrap::{message, setup};
use super::connection::Connection;
use super::crowd::Crowd;
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Daemon, process};

/// What the daemon still does of an event that all peers hold: it reads their answers.
const SETTLE: Duration = Duration::from_millis(20);

/// A daemon with peers, and a connection to its socket.
struct Hub {
    daemon: Daemon,
    crowd: Crowd,
    local: Connection,
    number: usize,
    head: Sequence,
    /// Processor time and bytes of an event of its own.
    own: Costs,
    /// The same of an event that it relays.
    relayed: Costs,
}

/// What single events cost.
#[derive(Default)]
struct Costs {
    processor: Sample,
    bytes: u64,
    requests: u64,
    events: u64,
}

impl Costs {
    /// Bytes and requests, both ways, of an event for each of so many peers.
    fn for_each(&self, peers: u32) -> (f64, f64) {
        let of = |count: u64| count as f64 / self.events as f64 / f64::from(peers);
        (of(self.bytes), of(self.requests))
    }
}

impl Hub {
    fn with(peers: u32) -> Self {
        tell(&format!("hub: pairing {peers} peers"));
        let daemon = setup(&format!("hub-{peers}")).env("THRUM_SYNC_INTERVAL", "1h").start();
        let crowd = Crowd::join(&daemon, peers as usize);
        let local = Connection::open(&daemon);
        let (own, relayed) = (Costs::default(), Costs::default());
        let mut hub = Self { daemon, crowd, local, number: 0, head: Sequence::ZERO, own, relayed };
        // What only happens once: the first connections, and how each peer learns where it is.
        for _ in 0..3 {
            hub.append();
            hub.crowd.wait_for(hub.head);
            hub.relay();
            hub.crowd.wait_for(hub.head);
        }
        (hub.own, hub.relayed) = (Costs::default(), Costs::default());
        hub
    }

    fn append(&mut self) {
        self.number += 1;
        self.head = self.local.append(vec![message(self.number)])[0].sequence;
    }

    fn relay(&mut self) {
        self.number += 1;
        self.crowd.write(self.number);
        self.head = Sequence(self.head.0 + 1);
    }

    /// So many events of its own, then as many that it relays, one after the other.
    fn round(&mut self, events: usize) {
        for own in [true, false] {
            let (before, traffic) =
                (process::Effort::of(self.daemon.pid()).processor, self.crowd.traffic());
            for _ in 0..events {
                if own {
                    self.append()
                } else {
                    self.relay()
                }
                self.crowd.wait_for(self.head);
            }
            std::thread::sleep(SETTLE);
            let spent = process::Effort::of(self.daemon.pid()).processor.saturating_sub(before);
            let (bytes, requests) = self.crowd.traffic();
            let costs = if own { &mut self.own } else { &mut self.relayed };
            costs.processor.push(spent / events as u32);
            costs.bytes += bytes - traffic.0;
            costs.requests += requests - traffic.1;
            costs.events += events as u64;
        }
    }
}

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let full = size == Size::Full;
    let (many, few, rounds, events) = if full { (300, 30, 12, 5) } else { (12, 4, 2, 2) };
    let mut alone = Alone::start();
    let (mut crowded, mut quiet) = (Hub::with(many), Hub::with(few));
    let mut bare = Bare::to(&crowded.crowd);
    tell(&format!("hub: {rounds} rounds of {events} own and {events} relayed events"));
    for _ in 0..rounds {
        crowded.round(events);
        quiet.round(events);
        alone.round(100);
        bare.round(events);
    }
    let in_a_burst = size.of(300);
    tell(&format!("hub: a burst of {in_a_burst} events"));
    let (mut calm, mut busy) = (Sample::default(), Sample::default());
    for _ in 0..if full { 3 } else { 1 } {
        burst(&mut alone.local, in_a_burst, &mut calm);
        let head = burst(&mut crowded.local, in_a_burst, &mut busy);
        crowded.crowd.wait_for(head);
    }
    let append = alone.processor.median();
    let of = |costs: &Costs, peers| (costs.processor.median() - append) / f64::from(peers);
    let (own, relayed) = (of(&crowded.own, many), of(&crowded.relayed, many));
    let request = bare.processor.median();
    let against = |cost: f64, costs: &Costs| {
        let (bytes, requests) = costs.for_each(many);
        format!(
            "{} of processor time, {bytes:.0} bytes and {requests:.2} requests for each of {many} peers, \
             against {} for a request of hyper alone",
            words(cost),
            words(request)
        )
    };
    let few_own = of(&quiet.own, few);
    vec![
        Figure::new(
            "hub_own",
            "an event of its own at a daemon with 300 peers, for each, against a request of hyper alone",
            (own / request, "x"),
            Target::AtMost(3.0),
            against(own, &crowded.own),
        ),
        Figure::new(
            "hub_relayed",
            "an event that it relays",
            (relayed / request, "x"),
            Target::AtMost(3.5),
            against(relayed, &crowded.relayed),
        ),
        Figure::new(
            "hub_relayed_to_own",
            "an event that it relays, against one of its own",
            (relayed / own, "x"),
            Target::AtMost(1.5),
            format!("{} against {}", words(relayed), words(own)),
        ),
        Figure::new(
            "hub_peers",
            "an event of its own with 300 peers, for each, against one with 30",
            (own / few_own, "x"),
            Target::AtMost(1.2),
            format!("{} with {many}, {} with {few}", words(own), words(few_own)),
        ),
        Figure::new(
            "hub_burst",
            "an append in a burst of 300 with 300 peers, against one without peers",
            (busy.median() / calm.median(), "x"),
            Target::AtMost(4.0),
            format!("{} against {}", words(busy.median()), words(calm.median())),
        ),
    ]
}

/// A daemon without peers: what an append costs.
struct Alone {
    daemon: Daemon,
    local: Connection,
    processor: Sample,
}

impl Alone {
    fn start() -> Self {
        let daemon = alone();
        let local = Connection::open(&daemon);
        Self { daemon, local, processor: Sample::default() }
    }

    fn round(&mut self, events: u32) {
        let before = process::Effort::of(self.daemon.pid()).processor;
        for number in 0..events {
            append_one(&mut self.local, number as usize);
        }
        let after = process::Effort::of(self.daemon.pid()).processor;
        self.processor.push(after.saturating_sub(before) / events);
    }
}

/// What a request to each of many peers costs with hyper alone, on one thread: it is sent, and its answer read.
struct Bare {
    runtime: Runtime,
    connections: Vec<SendRequest<Full<Bytes>>>,
    body: Bytes,
    processor: Sample,
}

impl Bare {
    fn to(crowd: &Crowd) -> Self {
        // As long as a notification with one event, and says nothing.
        let body = serde_json::json!({
            "method": "sync.notify", "params": { "latest_seq": 0, "name": "x".repeat(1000) },
        });
        let body = Bytes::from(body.to_string());
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let connections = runtime.block_on(async {
            let mut connections = Vec::new();
            for address in crowd.addresses() {
                let stream = TcpStream::connect(address).await.expect("a peer");
                stream.set_nodelay(true).unwrap();
                let (requests, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                connections.push(requests);
            }
            connections
        });
        Self { runtime, connections, body, processor: Sample::default() }
    }

    fn round(&mut self, requests: usize) {
        let count = requests * self.connections.len();
        let before = process::this_thread();
        for _ in 0..requests {
            let connections = std::mem::take(&mut self.connections).into_iter();
            let send = |it| self.runtime.spawn(request(it, self.body.clone()));
            let sending: Vec<_> = connections.map(send).collect();
            for sent in sending {
                self.connections.push(self.runtime.block_on(sent).expect("an answer"));
            }
        }
        let spent = process::this_thread().saturating_sub(before);
        self.processor.push(spent / count as u32);
    }
}

/// Sends one request and reads its answer; gives the connection back.
async fn request(
    mut connection: SendRequest<Full<Bytes>>,
    body: Bytes,
) -> SendRequest<Full<Bytes>> {
    let request = Request::post("/rpc")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(body))
        .unwrap();
    connection.ready().await.expect("a connection");
    let answer = connection.send_request(request).await.expect("an answer");
    answer.into_body().collect().await.expect("the whole answer");
    connection
}

/// Appends without a pause, and notes how long each takes; gives the last position.
fn burst(local: &mut Connection, events: usize, sample: &mut Sample) -> Sequence {
    let mut head = Sequence::ZERO;
    for number in 0..events {
        let draft = vec![message(number)];
        head = sample.time(|| local.append(draft))[0].sequence;
    }
    head
}
