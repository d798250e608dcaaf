//! Daemons that reach each other converge, and nothing crosses a wire that need not.

use tests::harness::{
    Daemon, LONG, SHORT, Setup, converge, eventually, holds, in_sync, pair, pair_line,
    paired_daemons,
};
use thrum_api::local::{PeerRemove, PeerRemoveParams, PeerState};

#[test]
fn what_was_written_before_the_pairing_arrives() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    for part in 0..3 {
        laptop.append((0..1000).map(|n| part * 1000 + n));
    }
    server.append(0..10);
    pair(&laptop, &server);
    assert_eq!(converge(LONG, &[&laptop, &server]), 3010);
}

#[test]
fn a_killed_daemon_catches_up_when_it_is_back() {
    let (laptop, mut server) = paired_daemons();
    laptop.append(["before"]);
    converge(SHORT, &[&laptop, &server]);
    server.append(["acknowledged and then killed"]);
    server.kill();
    for part in 0..2 {
        laptop.append((0..1000).map(|n| part * 1000 + n));
    }
    server.start_again();
    assert_eq!(converge(LONG, &[&laptop, &server]), 2002);
}

#[test]
fn an_event_goes_through_the_machine_in_the_middle() {
    let (a, b, c) = (Daemon::start("a"), Daemon::start("b"), Daemon::start("c"));
    pair_line(&[&a, &b, &c]);
    for round in 0..3 {
        a.append([format!("from a {round}")]);
        c.append([format!("from c {round}")]);
        converge(SHORT, &[&a, &b, &c]);
        // Nothing is under way any more that could bring the next one by chance.
        in_sync(&[&a, &b, &c]);
    }
    assert_eq!(b.texts().len(), 6);
    a.has_peer(&c).expect_err("a and c were not paired");
}

#[test]
fn next_to_nothing_crosses_a_triangle_twice() {
    let (a, b, c) = (Daemon::start("a"), Daemon::start("b"), Daemon::start("c"));
    pair_line(&[&a, &b, &c]);
    pair(&a, &c);
    let all = [&a, &b, &c];
    in_sync(&all);
    // Events that came, and those among them that were there already.
    let figures = || {
        let sync = all.iter().map(|daemon| daemon.status().sync);
        sync.fold((0, 0), |(received, twice), it| {
            (received + it.events_received, twice + it.events_duplicate)
        })
    };
    let twice = || {
        let before = figures();
        for round in 0..12 {
            for daemon in all {
                daemon.append([format!("{} {round}", daemon.name())]);
            }
            converge(SHORT, &all);
            // Relayed news is told a second later at most; what it brings again has to show by then.
            in_sync(&all);
        }
        let now = figures();
        let (received, duplicate) = (now.0 - before.0, now.1 - before.1);
        assert_eq!(received - duplicate, 12 * 6, "3 events a round, to 2 others each");
        duplicate
    };
    // None on an idle machine, as the simulation shows. On a busy one an event may come from its creator
    // while a page of the third daemon is under way, which then brings it again; or its creator is later
    // than the 250 ms that it is waited for. Each stall may do that, but there are not many every time.
    let counts: Vec<_> = (0..3).map(|_| twice()).take_while(|duplicate| *duplicate >= 8).collect();
    assert!(counts.len() < 3, "{counts:?} of 72 events came twice");
}

#[test]
fn idle_daemons_say_nothing_to_each_other() {
    let start = |name| Setup::new(name).look_every_ms(400).start();
    let (laptop, server) = (start("laptop"), start("server"));
    pair(&laptop, &server);
    laptop.append(["news"]);
    converge(SHORT, &[&laptop, &server]);
    in_sync(&[&laptop, &server]);
    for daemon in [&laptop, &server] {
        let before = daemon.status().sync;
        // Its periodic pulls show that time passes for it.
        let now = eventually(SHORT, || {
            let now = daemon.status().sync;
            holds(now.pulls_sent >= before.pulls_sent + 5, || format!("{now:?}")).map(|()| now)
        });
        assert_eq!(now.notifies_sent, before.notifies_sent);
    }
}

#[test]
fn a_removed_peer_hears_of_it_and_gets_nothing_more() {
    let (laptop, server) = paired_daemons();
    laptop.append(["shared"]);
    converge(SHORT, &[&laptop, &server]);
    let peer = server.id().to_string();
    // The notice may take 2 s, which may be over on a busy machine.
    eventually(LONG, || {
        let removed = laptop.ask::<PeerRemove>(PeerRemoveParams { peer: peer.clone() });
        if !removed.told {
            pair(&laptop, &server);
        }
        holds(removed.told, || format!("{removed:?}"))
    });
    eventually(SHORT, || {
        let peers = server.status().peers;
        holds(peers.len() == 1 && peers[0].state == PeerState::RemovedUs, || format!("{peers:?}"))
    });
    laptop.append(["not for the server"]);
    server.append(["not for the laptop"]);
    let before = server.status().sync.pulls_sent;
    server.ask::<thrum_api::local::PeerSync>(thrum_api::local::PeerSyncParams::default());
    eventually(SHORT, || {
        let status = server.status();
        let asked = status.sync.pulls_sent > before && status.peers[0].next_try_at.is_some();
        holds(asked && status.peers[0].state == PeerState::RemovedUs, || format!("{status:?}"))
    });
    assert_eq!(laptop.texts(), ["shared", "not for the server"]);
    assert_eq!(server.texts(), ["shared", "not for the laptop"]);

    pair(&laptop, &server);
    assert_eq!(converge(SHORT, &[&laptop, &server]), 3);
}

#[test]
fn a_daemon_that_was_away_when_it_was_removed_learns_it() {
    let (laptop, mut server) = paired_daemons();
    server.stop();
    let peer = "server".to_owned();
    let removed = laptop.ask::<PeerRemove>(PeerRemoveParams { peer });
    assert!(!removed.told);
    server.start_again();
    eventually(SHORT, || {
        let peers = server.status().peers;
        holds(peers.len() == 1 && peers[0].state == PeerState::RemovedUs, || format!("{peers:?}"))
    });
}

#[test]
fn the_log_has_the_lines_that_operators_know() {
    let (laptop, server) = paired_daemons();
    // The pull at the start would bring the events as well.
    in_sync(&[&laptop, &server]);
    laptop.append(0..5);
    converge(SHORT, &[&laptop, &server]);
    let accepting = laptop.log_text();
    let line =
        format!("[pairing] Paired with server ({}) at {}", server.id(), server.peer_address());
    assert!(accepting.contains(&line), "no {line:?} in\n{accepting}");
    let line = "periodic_sync: starting with interval=5m0s, recent_threshold=2m0s";
    assert!(accepting.contains(line), "no {line:?} in\n{accepting}");
    let line = format!("sync.notify: synced from {} — applied=5 skipped=0", laptop.id());
    // The line comes after the events.
    eventually(SHORT, || {
        let joining = server.log_text();
        holds(joining.contains(&line), || format!("no {line:?} in\n{joining}"))
    });
}
