//! Over a real tailnet, against the bare thing over the same tunnel.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::bootstrap::{fill, wait_for_head};
use super::connection::Echo;
use super::figure::{Figure, Target};
use super::latency::travel;
use super::sample::{Sample, mebibytes, tell, words};
use super::size::Size;
use super::wiretap::Wiretap;
use crate::harness::{LONG, converge, eventually, holds, process, read_some};
use crate::tailnet::{
    Cluster, Disguise, Node, NodeSpec, Programs, TAILNET_LIMIT, child_of, inside, pair_over,
};

/// How long things come to rest before something is said of rest.
const SETTLE: Duration = Duration::from_secs(20);

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let programs = inside().expect("to run in sealed namespaces");
    let specs = [NodeSpec::new("a"), NodeSpec::new("b"), NodeSpec::new("runner").bare()];
    let mut cluster = Cluster::up(&programs, specs);
    for name in ["a", "b"] {
        let setup = cluster.tailnet.node(name).setup().env("THRUM_LOG", "warn");
        cluster.put(name, setup.start());
    }
    let mut figures = bulk(&cluster, size);
    figures.extend(latency(&cluster, size));
    figures.push(healing(&cluster, size));
    figures.extend(private(&mut cluster, &programs));
    figures.push(idle(&mut cluster, size));
    figures
}

/// A listener on one node, and a connection to it from another.
fn connected(cluster: &Cluster, port: u16) -> (TcpListener, impl FnOnce() -> TcpStream) {
    let (from, to): (&Node, &Node) = (cluster.tailnet.node("a"), cluster.tailnet.node("b"));
    let address = SocketAddr::new(to.address(), port);
    let listener = to.inside(|| TcpListener::bind(address).unwrap());
    (listener, move || from.inside(|| TcpStream::connect(address).unwrap()))
}

fn latency(cluster: &Cluster, size: Size) -> Vec<Figure> {
    let count = size.of(400);
    tell(&format!("tailnet: {count} events, one after the other"));
    let (listener, connect) = connected(cluster, 7001);
    let mut echo = Echo::between(listener, connect);
    let mut bare = Sample::default();
    let ours = travel(cluster.daemon("a"), cluster.daemon("b"), count, |_, event| {
        bare.time(|| echo.round_trip(event.as_bytes()));
    });
    let figure = |id, what, share: f64| {
        let (ours, bare) = (ours.quantile(share), bare.quantile(share));
        let detail = format!("{}, against one HTTP round trip: {}", words(ours), words(bare));
        Figure::new(id, what, (ours / bare, "x"), Target::None, detail)
    };
    vec![
        figure("tailnet_latency_p50", "over the tunnel: acknowledged until readable", 0.5),
        figure("tailnet_latency_p99", "the same, 99 of 100", 0.99),
    ]
}

/// Bytes a second of one large HTTP answer.
fn throughput(cluster: &Cluster, bytes: usize) -> f64 {
    let (listener, connect) = connected(cluster, 7002);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _request = read_some(&mut stream, &mut [0; 4096]).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let block = vec![b'x'; 64 * 1024];
        for _ in 0..bytes / block.len() {
            stream.write_all(&block).unwrap();
        }
    });
    let mut stream = connect();
    let begun = Instant::now();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: b\r\n\r\n").unwrap();
    let mut block = vec![0; 256 * 1024];
    let mut came = 0;
    while let Ok(count @ 1..) = read_some(&mut stream, &mut block) {
        came += count;
    }
    came as f64 / begun.elapsed().as_secs_f64()
}

fn bulk(cluster: &Cluster, size: Size) -> Vec<Figure> {
    let count = size.of(100_000);
    tell(&format!("tailnet: {count} events in bulk"));
    let (here, there) = (cluster.daemon("a"), cluster.daemon("b"));
    fill(here, count);
    let bytes: usize = here.events().iter().map(|event| event.event.get().len()).sum();
    process::forget_peak(here.pid());
    let begun = Instant::now();
    cluster.pair("a", "b");
    wait_for_head(there, count as u64);
    let took = begun.elapsed().as_secs_f64();
    let raw = throughput(cluster, size.of(400) * 1024 * 1024);
    let mebi = 1024.0 * 1024.0;
    let rate = count as f64 / took;
    let detail = format!(
        "{count} events in {}: {:.1} MiB/s of events; one raw HTTP answer over the same tunnel: \
         {:.0} MiB/s",
        words(took),
        bytes as f64 / took / mebi,
        raw / mebi
    );
    let peaks = [here, there].map(|daemon| mebibytes(process::peak_bytes(daemon.pid())));
    let most = peaks[0].max(peaks[1]);
    let memory = format!("{:.1} MiB serving, {:.1} MiB pulling", peaks[0], peaks[1]);
    vec![
        Figure::new(
            "tailnet_bulk_rate",
            "events a second over the tunnel, in bulk",
            (rate, ""),
            Target::None,
            detail,
        ),
        Figure::new(
            "tailnet_bulk_memory",
            "resident memory meanwhile, at most",
            (most, "MiB"),
            Target::AtMost(64.0),
            memory,
        ),
    ]
}

/// From the tunnel's return until both have one log.
fn healing(cluster: &Cluster, size: Size) -> Figure {
    let rounds = size.of(100) / 20;
    let (a, b) = (cluster.daemon("a"), cluster.daemon("b"));
    let mut sample = Sample::default();
    for round in 1..=rounds.max(1) {
        tell(&format!("tailnet: partition {round} of {}", rounds.max(1)));
        cluster.tailnet.cut("a", "b");
        let head = (a.health().head_seq.0, b.health().head_seq.0);
        fill(a, 10);
        fill(b, 10);
        // Until both are sure of it and leave the other alone for a while.
        for (from, at) in [("a", "b"), ("b", "a")] {
            eventually(TAILNET_LIMIT, || {
                let failures = cluster.look(from, at)?.failures;
                holds(failures >= 2, || format!("{failures} failures"))
            });
        }
        cluster.tailnet.heal();
        sample.time(|| {
            wait_for_head(a, head.0 + 20);
            wait_for_head(b, head.1 + 20);
        });
        converge(LONG, &[a, b]);
    }
    let detail =
        format!("median {}, longest {}", words(sample.median()), words(sample.quantile(1.0)));
    let what = "from the tunnel's return until there is one log, at most";
    Figure::new("tailnet_healing", what, (sample.quantile(1.0), "s"), Target::None, detail)
}

fn private(cluster: &mut Cluster, programs: &Programs) -> Vec<Figure> {
    let disguise = Disguise::new(programs);
    let key = cluster.tailnet.control.auth_key("test");
    let setup =
        disguise.setup(cluster.tailnet.node("runner"), &cluster.tailnet.control, Some(&key));
    let setup = setup.env("THRUM_LOG", "warn").env("THRUM_TS_ENABLED", "true");
    cluster.put("runner", setup.start());
    eventually(TAILNET_LIMIT, || {
        let state = cluster.daemon("runner").status().tailnet.state;
        holds(state == "up", || state)
    });
    // From one that is empty, so that the figure is of rest and not of what came before.
    cluster.put("small", cluster.tailnet.node("b").setup().env("THRUM_TS_PORT", 9101).start());
    pair_over(cluster.daemon("small"), "b:9101", cluster.daemon("runner"));
    tell("tailnet: letting a daemon with a child come to rest");
    std::thread::sleep(SETTLE);
    let runner = cluster.daemon("runner");
    let child = child_of(runner).expect("a child");
    let (ours, childs) = (process::resident_bytes(runner.pid()), process::resident_bytes(child));
    let detail = "idle, with one peer".to_owned();
    let figure = |id, what, bytes| {
        Figure::new(id, what, (mebibytes(bytes), "MiB"), Target::None, detail.clone())
    };
    vec![
        figure("tailnet_private_memory", "resident memory with a tailscaled of its own", ours),
        figure("tailnet_private_child_memory", "resident memory of that tailscaled", childs),
    ]
}

/// Requests to tailscaled in an idle minute.
fn idle(cluster: &mut Cluster, size: Size) -> Figure {
    let minute = Duration::from_secs(if size == Size::Full { 60 } else { 5 });
    let tap = Wiretap::before(&cluster.tailnet.node("a").socket());
    let daemon = cluster.daemon_mut("a");
    daemon.set_env("THRUM_TS_SOCKET", tap.socket().display());
    daemon.stop();
    daemon.start_again();
    cluster.talk(&["a", "b"]);
    tell("tailnet: letting a daemon behind a counter come to rest");
    std::thread::sleep(SETTLE);
    let before = tap.requests();
    assert!(before > 0, "nothing goes through the counter");
    tell(&format!("tailnet: counting for {} s", minute.as_secs()));
    std::thread::sleep(minute);
    let asked = (tap.requests() - before) as f64;
    let detail = format!("{asked} in {} s, besides the open watch", minute.as_secs());
    let what = "requests to tailscaled in an idle minute";
    let value = (asked * 60.0 / minute.as_secs_f64(), "");
    Figure::new("tailnet_localapi_requests", what, value, Target::AtMost(0.0), detail)
}
