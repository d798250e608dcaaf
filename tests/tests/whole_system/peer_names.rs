//! Peers whose names are not plain, or those of others, can be told apart and removed.

use tests::harness::{Client, Daemon, SHORT, eventually, holds, in_sync, pair};
use thrum_api::label::short_id;

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
    let label = |of: &Daemon| format!("{} ({})", of.name(), short_id(of.id()));
    Client::new(&two).run(&["send", "--as", "coder", "planner", "hello"]).exits(0);
    let shows = |words: &[&str], all: &[&Daemon]| {
        eventually(SHORT, || {
            let seen = laptop.thrum(words).stdout;
            let missing = all.iter().find(|of| !seen.contains(&label(of)));
            holds(missing.is_none(), || format!("{words:?}: {seen}"))
        });
    };
    for words in [&["status"][..], &["peer", "list"], &["peer", "status"], &["doctor"]] {
        shows(words, &[&one, &two, &odd, &same]);
    }
    shows(&["agents"], &[&two]);
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
    removes(&two.id().to_string()[..26].to_lowercase());
    removes(&short_id(odd.id()));
    removes(&same.id().to_string());
    // Now it is the only one of its name.
    let peers = laptop.status().peers;
    assert_eq!(peers.iter().map(|peer| &*peer.name).collect::<Vec<_>>(), ["server"]);
    removes("server");
}
