//! Peers whose names are not plain, or those of others, can be told apart and removed.

use std::net::TcpListener;
use std::time::Instant;
use tests::harness::pair_request;
use thrumd::keys::SecretKey;

use tests::harness::{Client, Daemon, FakePeer, SHORT, eventually, holds, in_sync, pair};
use thrum_api::label::{id_in, label};
use thrum_api::peer::{NotifyParams, PairRequest, SyncNotify};

#[test]
fn peers_that_look_alike_are_shown_with_their_ids_and_removed_by_them() {
    let laptop = Daemon::start("laptop");
    let (one, two) = (Daemon::start("server"), Daemon::start("Server"));
    // With a Cyrillic letter, and the name of the laptop itself.
    let (odd, same) = (Daemon::start("s\u{435}rver"), Daemon::start("laptop"));
    for other in [&one, &two, &odd, &same] {
        pair(&laptop, other);
    }
    in_sync(&[&laptop]);
    // By the rule, since ids that happen to be abbreviated alike are shown whole.
    let machines = [&laptop, &one, &two, &odd, &same];
    let label_of = |of: &Daemon| {
        let others = machines.iter().filter(|other| other.id() != of.id());
        let label = label(of.name(), of.id(), others.map(|other| (other.id(), other.name())));
        assert!(id_in(&label).is_some(), "{label}");
        label
    };
    Client::new(&two).run(&["send", "--as", "coder", "planner", "hello"]).exits(0);
    let shows = |words: &[&str], all: &[&Daemon]| {
        eventually(SHORT, || {
            let seen = laptop.thrum(words).stdout;
            let missing = all.iter().find(|of| !seen.contains(&label_of(of)));
            holds(missing.is_none(), || format!("{words:?}: {seen}"))
        });
    };
    for words in [&["status"][..], &["peer", "list"], &["peer", "status"], &["doctor"]] {
        shows(words, &[&one, &two, &odd, &same]);
    }
    shows(&["team"], &[&two]);
    // In a script, one word for each that the other commands take.
    let listed = laptop.thrum(&["peer", "list", "-q"]).exits(0).stdout;
    for name in listed.lines() {
        laptop.thrum(&["peer", "status", name]).exits(0);
    }
    assert!(listed.contains(&one.id().to_string()), "{listed}");

    let refused = laptop.thrum(&["peer", "remove", "server", "--yes"]).exits(1).stderr;
    for part in ["thrum peer remove ID", &one.id().to_string(), &two.id().to_string()] {
        assert!(refused.contains(part), "{refused}");
    }
    let removes = |typed: &str| laptop.thrum(&["peer", "remove", typed, "--yes"]).exits(0);
    let shown = label_of(&odd);
    removes(id_in(&shown).unwrap());
    removes(&two.id().to_string()[..26].to_lowercase());
    removes(&same.id().to_string());
    // Now it is the only one of its name.
    let peers = laptop.status().peers;
    assert_eq!(peers.iter().map(|peer| &*peer.name).collect::<Vec<_>>(), ["server"]);
    removes("server");
}

/// A notification without news, of a peer that now has this name.
fn renamed(fake: &FakePeer, name: &str) -> NotifyParams {
    let params = serde_json::json!({"daemon_id": fake.id(), "name": name, "latest_seq": 0});
    serde_json::from_value(params).unwrap()
}

fn only_name(daemon: &Daemon) -> String {
    daemon.status().peers.remove(0).name
}

#[test]
fn a_peer_with_a_new_name_in_every_notification_is_renamed_once_a_minute() {
    let daemon = Daemon::start("laptop");
    let mut fake = FakePeer::honest();
    fake.joins(&daemon);
    let (caller, begun) = (fake.caller(&daemon), Instant::now());
    let (mut last, mut writes) = (only_name(&daemon), 0);
    for n in 0..300 {
        caller.call::<SyncNotify>(&renamed(&fake, &format!("name {n}"))).unwrap();
        let now = only_name(&daemon);
        writes += u64::from(now != last);
        last = now;
    }
    // However long this takes.
    let minutes = begun.elapsed().as_secs() / 60;
    assert!((1..=1 + minutes).contains(&writes), "{writes} names in {minutes} min");
}

#[test]
fn a_name_is_composed_before_it_is_stored_and_before_it_is_looked_up() {
    let (apart, composed) = ("rene\u{301}", "ren\u{e9}");
    let daemon = Daemon::start("laptop");
    let mut fake = FakePeer::honest();
    fake.joins(&daemon);
    fake.caller(&daemon).call::<SyncNotify>(&renamed(&fake, apart)).unwrap();
    assert!(only_name(&daemon).starts_with(composed), "{}", only_name(&daemon));
    daemon.thrum(&["peer", "remove", apart, "--yes"]).exits(0);

    let code = Some(daemon.open_pairing().code);
    // Nobody there answers with another name.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let key = SecretKey::generate().unwrap();
    let id = key.id();
    let params = pair_request(&daemon, &key, code, apart, &closed.to_string());
    let token = daemon.stranger().call::<PairRequest>(&params).unwrap().token;
    let params = serde_json::json!({"daemon_id": id, "latest_seq": 0});
    let params: NotifyParams = serde_json::from_value(params).unwrap();
    daemon.stranger().with_token(token).call::<SyncNotify>(&params).unwrap();
    assert!(only_name(&daemon).starts_with(composed), "{}", only_name(&daemon));
    daemon.thrum(&["peer", "remove", apart, "--yes"]).exits(0);
}
