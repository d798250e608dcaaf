//! Many events through the tunnel.

use std::time::Instant;

use tests::harness::{eventually, holds, process};
use tests::tailnet::{Cluster, TAILNET_LIMIT, sealed};

/// Enough for memory to show whether it grows with the log. `THRUM_TEST_EVENTS` asks for another number.
const EVENTS: u64 = 100_000;
/// What the whole of a log of this size would take many times over, in bytes.
const GROWTH: u64 = 24 * 1024 * 1024;

#[test]
fn many_events_come_through_the_tunnel_and_memory_stays_flat() {
    sealed(|programs| {
        let wanted = std::env::var("THRUM_TEST_EVENTS").ok().and_then(|n| n.parse().ok());
        let wanted = wanted.unwrap_or(EVENTS);
        let mut cluster = Cluster::of(programs, &["a", "b"]);
        let text = "x".repeat(400);
        let write = |cluster: &Cluster, count: u64| {
            for page in 0..count / 1000 {
                cluster.daemon("a").append((0..1000).map(|n| format!("{page} {n} {text}")));
            }
        };
        let arrive = |cluster: &Cluster| {
            let head = cluster.daemon("a").health().head_seq;
            eventually(TAILNET_LIMIT * 4, || {
                let here = cluster.daemon("b").health().head_seq;
                holds(here >= head, || format!("{here} of {head} came"))
            });
            ["a", "b"].map(|name| process::peak_bytes(cluster.daemon(name).pid()))
        };
        // The first tenth shows what serving and pulling take at all.
        write(&cluster, wanted / 10);
        cluster.pair("a", "b");
        let before = arrive(&cluster);
        cluster.daemon_mut("b").stop();
        write(&cluster, wanted - wanted / 10);
        // The most of it may come from writing.
        process::forget_peak(cluster.daemon("a").pid());
        cluster.daemon_mut("b").start_again();
        let begun = Instant::now();
        let after = arrive(&cluster);
        let took = begun.elapsed();
        println!("{wanted} events, most of them in {took:.1?}; {before:?}, then {after:?} bytes");
        for (before, after) in before.iter().zip(after) {
            assert!(after < before + GROWTH, "memory grows with the log: {before} then {after}");
        }
        let (a, b) = (cluster.daemon("a"), cluster.daemon("b"));
        assert_eq!(tests::harness::same_events(&[a, b]).unwrap() as u64, wanted / 1000 * 1000);
    });
}
