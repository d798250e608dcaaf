//! Databases get lost, restored and copied; the logs become the same again by themselves.

use std::collections::BTreeSet;

use tests::harness::{Daemon, SHORT, Setup, converge, eventually, holds, pair, paired_daemons};
use thrum_api::Sequence;
use thrum_api::local::{PeerRemove, PeerRemoveParams};

fn with_history() -> (Daemon, Daemon) {
    let (laptop, server) = paired_daemons();
    laptop.append((0..10).map(|n| format!("laptop {n}")));
    server.append((0..10).map(|n| format!("server {n}")));
    converge(SHORT, &[&laptop, &server]);
    (laptop, server)
}

fn each_once(daemon: &Daemon, wanted: usize) {
    let texts = daemon.texts();
    let different: BTreeSet<_> = texts.iter().collect();
    assert_eq!((texts.len(), different.len()), (wanted, wanted), "{}: {texts:?}", daemon.name());
}

/// The database of either side is deleted and something is written there at once.
fn database_deleted(of: usize) {
    let (laptop, server) = with_history();
    let mut daemons = [laptop, server];
    let epoch = daemons[of].health().epoch;
    daemons[of].stop();
    daemons[of].delete_database();
    daemons[of].start_again();
    daemons[of].append((0..5).map(|n| format!("new {n}")));
    assert_ne!(epoch, daemons[of].health().epoch, "a new log has a new epoch");
    converge(SHORT, &[&daemons[0], &daemons[1]]);
    for daemon in &daemons {
        each_once(daemon, 25);
    }
    // And it goes on.
    daemons[0].append(["later"]);
    daemons[1].append(["later too"]);
    assert_eq!(converge(SHORT, &[&daemons[0], &daemons[1]]), 27);
}

#[test]
fn a_deleted_database_comes_back_from_the_peer() {
    database_deleted(0);
}

#[test]
fn a_deleted_database_of_the_joining_side_comes_back_from_the_peer() {
    database_deleted(1);
}

#[test]
fn a_database_deleted_while_the_peer_is_away_loses_nothing() {
    let (mut laptop, mut server) = with_history();
    server.stop();
    laptop.stop();
    laptop.delete_database();
    laptop.start_again();
    // More than it had before, so that its positions lie beyond the peer's checkpoint.
    laptop.append((0..40).map(|n| format!("new {n}")));
    server.start_again();
    assert_eq!(converge(SHORT, &[&laptop, &server]), 60);
    each_once(&laptop, 60);
}

/// The laptop's database is put back to an older copy, from which 10 events are missing.
fn restored(written_before_contact: usize) {
    let (mut laptop, mut server) = with_history();
    let backup = laptop.backup_and_go_on();
    laptop.append((0..10).map(|n| format!("lost {n}")));
    converge(SHORT, &[&laptop, &server]);
    let epoch = laptop.health().epoch;
    server.stop();
    laptop.stop();
    laptop.restore_database(backup.path());
    laptop.start_again();
    laptop.append((0..written_before_contact).map(|n| format!("new {n}")));
    server.start_again();
    assert_eq!(converge(SHORT, &[&laptop, &server]), 30 + written_before_contact);
    each_once(&laptop, 30 + written_before_contact);
    eventually(SHORT, || holds(laptop.health().epoch != epoch, || "the same epoch".to_owned()));
    for daemon in [&laptop, &server] {
        daemon.append([format!("{} goes on", daemon.name())]);
    }
    assert_eq!(converge(SHORT, &[&laptop, &server]), 32 + written_before_contact);
}

#[test]
fn a_restored_database_gets_its_lost_events_back() {
    restored(0);
}

#[test]
fn both_histories_survive_when_a_restored_database_was_written_to() {
    restored(3);
}

#[test]
fn both_histories_survive_when_a_restored_database_went_further_than_before() {
    restored(15);
}

/// The hub loses two events of others and gets the last of them back at its old position, behind one that
/// is new: the checkpoint of a peer that was away matches by chance.
#[test]
fn a_restored_hub_whose_log_matches_by_chance_hides_nothing() {
    let [mut hub, mut a, mut b, mut c] = ["hub", "a", "b", "c"].map(Daemon::start);
    for other in [&a, &b, &c] {
        pair(&hub, other);
    }
    a.append(["kept"]);
    converge(SHORT, &[&hub, &a, &b, &c]);
    c.stop();
    hub.stop();
    let backup = hub.backup();
    a.append(["last"]);
    a.stop();
    hub.start_again();
    b.append(["lost"]);
    converge(SHORT, &[&hub, &b]);
    a.start_again();
    converge(SHORT, &[&hub, &a, &b]);
    assert_eq!(hub.texts(), ["kept", "lost", "last"]);
    eventually(SHORT, || {
        let taken = b.status().peers[0].checkpoint;
        holds(taken == Sequence(3), || format!("b has taken the hub's log over to {taken}"))
    });
    for daemon in [&mut a, &mut b, &mut hub] {
        daemon.stop();
    }
    hub.restore_database(backup.path());
    hub.start_again();
    c.start_again();
    c.append(["new"]);
    converge(SHORT, &[&hub, &c]);
    a.start_again();
    converge(SHORT, &[&hub, &a, &c]);
    assert_eq!(hub.texts(), ["kept", "new", "last", "lost"]);
    b.start_again();
    assert_eq!(converge(SHORT, &[&hub, &a, &b, &c]), 4);
}

#[test]
fn a_copied_state_directory_does_not_sync() {
    let (laptop, mut server) = with_history();
    server.stop();
    let copy = Setup::new("copy")
        .state_copied_from(server.state())
        .machine("ffffffffffffffffffffffffffffffff")
        .start();
    laptop.append(["after the copy"]);
    let status = copy.status();
    assert!(
        status.problems.iter().any(|problem| {
            problem.next.as_deref().unwrap_or_default().contains("reset-identity")
        }),
        "{:?}",
        status.problems
    );
    // It may be the same machine in a rebuilt container.
    copy.reports("THRUM_MACHINE_ID_FILE").unwrap();
    let refused = copy.thrum(&["peer", "add"]).exits(1).stderr;
    assert!(refused.contains("THRUM_MACHINE_ID_FILE"), "{refused}");
    assert!(copy.thrum(&["doctor"]).exits(6).stdout.contains("THRUM_MACHINE_ID_FILE"));
    copy.stranger().connect().expect_err("a copied identity listens");
    // The real one does, and the copy still has only what was copied.
    server.start_again();
    converge(SHORT, &[&laptop, &server]);
    assert!(!copy.texts().contains(&"after the copy".to_owned()));
}

#[test]
fn a_copied_state_directory_with_a_new_identity_is_another_machine() {
    let (laptop, mut server) = with_history();
    server.stop();
    let mut copy = Setup::new("copy").state_copied_from(server.state()).machine("copy").prepare();
    copy.reset_identity();
    server.start_again();
    copy.start_again();
    assert_ne!(copy.id(), server.id());
    each_once(&copy, 20);
    copy.append(["of the copy"]);
    tests::harness::pair(&laptop, &copy);
    assert_eq!(converge(SHORT, &[&laptop, &server, &copy]), 21);
}

#[test]
fn the_inboxes_are_as_they_were_after_two_new_identities() {
    let mut daemon = Daemon::start("laptop");
    let read = |daemon: &Daemon| {
        let ran = daemon.thrum(&["inbox", "--as", "coder", "--peek", "--json"]).exits(0).json();
        ran["messages"].as_array().unwrap().len()
    };
    // Whoever has waited once is known, and gets what is for all.
    daemon.thrum(&["wait", "--as", "coder", "--timeout", "1ms"]).exits(5);
    daemon.thrum(&["send", "--as", "planner", "--all", "for everyone"]).exits(0);
    daemon.thrum(&["send", "--as", "planner", "coder", "for one"]).exits(0);
    assert_eq!(read(&daemon), 2);
    for _ in 0..2 {
        let id = daemon.id();
        daemon.stop();
        daemon.reset_identity();
        daemon.start_again();
        assert_ne!(daemon.id(), id);
        assert_eq!(read(&daemon), 2);
    }
}

#[test]
fn a_damaged_peers_file_is_renamed_and_reported() {
    let (laptop, mut server) = with_history();
    server.stop();
    std::fs::write(server.state().join("peers.json"), "{\"peers\": [{\"na").unwrap();
    server.start_again();
    let log = server.log_text();
    assert!(log.contains("peers.json"), "{log}");
    let aside = std::fs::read_dir(server.state())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("peers.json."))
        .count();
    assert_eq!(aside, 1, "the damaged file is kept");
    server.reports("peers.json").unwrap();
    drop(laptop);
}

#[test]
fn removed_and_paired_again_takes_over_what_is_missing() {
    let (laptop, server) = with_history();
    laptop.ask::<PeerRemove>(PeerRemoveParams { peer: "server".to_owned() });
    server.ask::<PeerRemove>(PeerRemoveParams { peer: "laptop".to_owned() });
    laptop.append(["alone"]);
    server.append(["alone too"]);
    tests::harness::pair(&server, &laptop);
    assert_eq!(converge(SHORT, &[&laptop, &server]), 22);
}
