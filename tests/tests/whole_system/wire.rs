//! Bad wires between two daemons.

use rustix::process::Signal;
use tests::harness::{
    Daemon, LONG, SHORT, Setup, Wire, WireState, backs_off, converge, eventually, holds, in_sync,
    pair, process,
};
use thrum_api::local::{PeerState, PeerSync, PeerSyncParams};

/// What a daemon says that ends before its peers have all of its log.
const LEFT_BEHIND: &str = "thrumd runs again";

/// Two daemons that reach each other over a wire each.
fn wired() -> (Daemon, Daemon, [Wire; 2]) {
    let mut laptop = Setup::new("laptop").look_every_ms(1000).start();
    let mut server = Setup::new("server").look_every_ms(1000).start();
    pair(&laptop, &server);
    let (laptop_id, server_id) = (laptop.id(), server.id());
    laptop.stop();
    server.stop();
    let wires = [Wire::to(server.peer_address()), Wire::to(laptop.peer_address())];
    laptop.set_peer_address(server_id, wires[0].address());
    server.set_peer_address(laptop_id, wires[1].address());
    laptop.start_again();
    server.start_again();
    laptop.append(["over the wire"]);
    converge(SHORT, &[&laptop, &server]);
    (laptop, server, wires)
}

#[test]
fn lost_answers_lose_nothing_and_double_nothing() {
    let (laptop, server, wires) = wired();
    // Another place in the answer each time: in the head, in the events, near the end.
    for (round, cut) in [0, 1, 90, 150, 300, 1000, 5000, 20_000].into_iter().enumerate() {
        for wire in &wires {
            wire.set(WireState::CutAnswers(cut));
        }
        let before: u64 = wires.iter().map(Wire::cuts).sum();
        laptop.append((0..40).map(|n| format!("laptop {round} {n}")));
        server.append((0..40).map(|n| format!("server {round} {n}")));
        for daemon in [&laptop, &server] {
            daemon.ask::<PeerSync>(PeerSyncParams::default());
        }
        if cut < 1000 {
            eventually(SHORT, || {
                let cuts: u64 = wires.iter().map(Wire::cuts).sum();
                holds(cuts > before, || format!("nothing was cut after {cut} bytes"))
            });
        }
    }
    for wire in &wires {
        wire.set(WireState::Good);
    }
    for daemon in [&laptop, &server] {
        daemon.ask::<PeerSync>(PeerSyncParams::default());
    }
    assert_eq!(converge(LONG, &[&laptop, &server]), 1 + 8 * 80);
}

#[test]
fn a_dead_peer_is_tried_less_and_less_and_the_first_word_from_it_ends_that() {
    let (laptop, server, wires) = wired();
    for wire in &wires {
        wire.set(WireState::Dead);
    }
    let before = wires[0].cuts();
    laptop.append(["nobody hears it"]);
    backs_off(&laptop, server.id());
    let tries = wires[0].cuts() - before;
    let failures = u64::from(laptop.status().peers[0].failures);
    // Besides those of the failures, the connections that were kept are cut, and what they carried is tried on new ones.
    assert!(tries <= 2 * failures + 6, "{tries} tries and {failures} failures");

    // Only the way from the server is whole: what it says ends the laptop's waiting.
    wires[1].set(WireState::Good);
    server.append(["I am back"]);
    eventually(LONG, || {
        let failures = laptop.status().peers[0].failures;
        holds(failures < 3, || format!("{failures} failures in a row"))
    });
    wires[0].set(WireState::Good);
    assert_eq!(converge(LONG, &[&laptop, &server]), 3);
}

#[test]
fn what_was_acknowledged_goes_out_before_the_end() {
    let (mut laptop, server, wires) = wired();
    let mut given_up = 0;
    for round in 0..3 {
        in_sync(&[&laptop]);
        wires[0].set(WireState::Slow(40));
        // The first is under way for longer than the others take to be written.
        for part in ["under way", "waiting for it", "last words"] {
            laptop.append([format!("{part} {round}")]);
        }
        assert!(laptop.stop().success());
        let held = server.texts();
        if !held.contains(&format!("last words {round}")) {
            // A stop waits 2 s at most, which may be over on a busy machine. Then it says so.
            given_up += 1;
            let said = laptop.log_text();
            assert!(said.matches(LEFT_BEHIND).count() >= given_up, "{held:?}\n{said}");
        }
        wires[0].set(WireState::Good);
        laptop.start_again();
    }
    assert!(given_up < 3, "{}", laptop.log_text());
}

#[test]
fn what_a_relay_holds_comes_over_a_slow_line() {
    let (laptop, server, wires) = wired();
    let origin = Daemon::start("origin");
    pair(&server, &origin);
    for wire in &wires {
        wire.set(WireState::Dead);
    }
    // They come one by one, so that the relay keeps few of the signatures on them.
    for n in 0..150 {
        origin.append([format!("{n} {}", "x".repeat(1000))]);
    }
    let all = converge(LONG, &[&server, &origin]);
    // 15 KB a second, in answers to pulls alone.
    wires[0].set(WireState::Slow(270));
    laptop.ask::<PeerSync>(PeerSyncParams::default());
    assert_eq!(converge(LONG, &[&laptop, &server]), all);
    assert_eq!(laptop.status().log.quarantined, 0);
}

#[test]
fn a_peer_that_went_silent_is_given_up_at_the_end() {
    let (mut laptop, server, _wires) = wired();
    in_sync(&[&laptop]);
    process::signal(server.pid(), Signal::STOP);
    laptop.append(["nobody answers"]);
    assert!(laptop.stop().success());
    process::signal(server.pid(), Signal::CONT);
    let words = "server still lacks events of this log (1); they go out when thrumd runs again";
    assert!(laptop.log_text().contains(words), "{}", laptop.log_text());
    laptop.start_again();
    converge(LONG, &[&laptop, &server]);
}

#[test]
fn what_is_still_being_read_at_the_end_is_waited_for() {
    let (mut laptop, server, wires) = wired();
    for attempt in 1.. {
        in_sync(&[&laptop, &server]);
        // A fraction of the 2 s that a stop waits, so that a busy machine has time as well.
        wires[1].set(WireState::Slow(1));
        // Too much for a notification: the server reads it as a page, 100 pieces long.
        let many = |n: usize| format!("{n} {}", "x".repeat(50_000));
        laptop.append((0..8).map(many));
        assert!(laptop.stop().success());
        // If that was not time enough it says so.
        if laptop.log_text().matches(LEFT_BEHIND).count() < attempt {
            assert_eq!(server.texts().len(), 1 + 8 * attempt, "{}", laptop.log_text());
            break;
        }
        assert!(attempt < 3, "{}", laptop.log_text());
        wires[1].set(WireState::Good);
        laptop.start_again();
    }
}

#[test]
fn a_peer_that_can_t_be_reached_at_the_end_is_named() {
    let (mut laptop, server, wires) = wired();
    in_sync(&[&laptop]);
    for wire in &wires {
        wire.set(WireState::Dead);
    }
    laptop.append(["nobody hears it"]);
    eventually(SHORT, || {
        let peer = laptop.status().peers.remove(0);
        holds(peer.state == PeerState::BackingOff, || format!("{peer:?}"))
    });
    assert!(laptop.stop().success());
    let words = "server still lacks events of this log (1)";
    assert!(laptop.log_text().contains(words), "{}", laptop.log_text());
    drop(server);
}

#[test]
fn a_long_log_gets_over_a_wire_that_carries_little_at_a_time() {
    let (laptop, server, wires) = wired();
    for wire in &wires {
        wire.set(WireState::CutAnswers(150_000));
    }
    laptop.append((0..900).map(|n| format!("{n} {}", "x".repeat(400))));
    converge(LONG, &[&laptop, &server]);
}
