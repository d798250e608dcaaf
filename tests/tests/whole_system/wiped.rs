//! A machine that lost its state directory is paired again, on either side.

use tests::harness::pair_request;
use tests::harness::{
    Client, Daemon, SHORT, Terminal, converge, eventually, holds, in_sync, pair, paired_daemons,
};
use thrum_api::local::{AgentList, AgentListParams, PairingUpdate, PeerWait, PeerWaitParams};
use thrum_api::peer::PairRequest;
use thrum_api::{DaemonId, Empty};
use thrumd::keys::SecretKey;

/// Two paired daemons with an agent on each: `planner` at the laptop, `coder` at the server.
fn with_agents() -> (Daemon, Daemon) {
    let (laptop, server) = paired_daemons();
    say(&laptop, "planner", "coder", "from the laptop");
    say(&server, "coder", "planner", "from the server");
    converge(SHORT, &[&laptop, &server]);
    (laptop, server)
}

fn say(at: &Daemon, from: &str, to: &str, text: &str) {
    Client::new(at).run(&["send", "--as", from, to, text]).exits(0);
}

/// Ends a daemon, removes its state directory and starts it again. Returns the id that it had.
fn wipe(daemon: &mut Daemon) -> DaemonId {
    let old = daemon.id();
    daemon.kill();
    std::fs::remove_dir_all(daemon.state()).unwrap();
    daemon.start_again();
    assert_ne!(daemon.id(), old);
    old
}

/// The machine of `other` is one peer, its agent is listed once, and everything gets through.
fn is_one_peer(daemon: &Daemon, other: &Daemon, old: DaemonId, agent: &str, own: &str) {
    in_sync(&[daemon, other]);
    let peers = daemon.status().peers;
    assert_eq!(peers.len(), 1, "{peers:?}");
    assert_eq!((peers[0].daemon_id, &peers[0].former), (other.id(), &vec![old]), "{peers:?}");
    assert!(daemon.status().problems.is_empty(), "{:?}", daemon.status().problems);
    say(other, agent, own, "again");
    eventually(SHORT, || {
        let agents = daemon.ask::<AgentList>(AgentListParams::default()).agents;
        let found: Vec<_> = agents.iter().filter(|it| it.name == agent).collect();
        holds(matches!(found[..], [one] if one.daemon_id == other.id()), || format!("{agents:?}"))
    });
    let all = daemon.ask::<AgentList>(AgentListParams { all: true, project: None }).agents;
    let former: Vec<_> = all.iter().filter(|it| it.former).collect();
    assert!(
        matches!(former[..], [one] if one.name == agent && one.daemon_id == old
            && one.machine.as_deref() == Some(other.name())),
        "{all:?}"
    );
    let shown = daemon.thrum(&["team", "--all"]).exits(0).stdout;
    assert!(shown.contains(&format!("{} before (", other.name())), "{shown}");
    // What its agent had written stays, and what is sent to it reaches the new daemon.
    let inbox = Client::new(daemon).run(&["inbox", "--as", own, "-n", "100"]).stdout;
    assert!(inbox.contains("from the") && inbox.contains("again"), "{inbox}");
    say(daemon, own, agent, "to the new one");
    eventually(SHORT, || {
        let inbox = Client::new(other).run(&["inbox", "--as", agent, "--unread"]).stdout;
        holds(inbox.contains("to the new one"), || inbox)
    });
    // Its name means one peer.
    daemon.thrum(&["peer", "remove", other.name(), "--yes"]).exits(0);
    assert!(daemon.status().peers.is_empty());
}

#[test]
fn a_wiped_machine_that_joins_again_takes_the_place_of_its_old_entry() {
    let (laptop, mut server) = with_agents();
    let old = wipe(&mut server);
    let session = laptop.open_pairing();
    server.join(&laptop, session.code.expose()).unwrap();
    let news = laptop.ask::<PeerWait>(PeerWaitParams { session: session.session, seen: 0 });
    assert!(
        matches!(&news, PairingUpdate::Paired { replaced, .. } if *replaced == [old]),
        "{news:?}"
    );
    let told = format!("{} takes the place of {old}", server.id());
    assert!(laptop.log_text().contains(&told), "{}", laptop.log_text());
    is_one_peer(&laptop, &server, old, "coder", "planner");
}

#[test]
fn a_wiped_machine_that_is_joined_again_takes_the_place_of_its_old_entry() {
    let (mut laptop, server) = with_agents();
    let old = wipe(&mut laptop);
    let session = laptop.open_pairing();
    let joined = server.join(&laptop, session.code.expose()).unwrap();
    assert_eq!((joined.renewed, &joined.replaced), (false, &vec![old]));
    is_one_peer(&server, &laptop, old, "planner", "coder");
}

#[test]
fn before_a_wiped_machine_is_paired_again_doctor_says_what_may_be_and_afterwards_nothing() {
    let (laptop, mut server) = paired_daemons();
    wipe(&mut server);
    let seen = laptop.thrum(&["doctor"]).exits(6).stdout;
    assert!(seen.contains("runs without a listener"), "{seen}");
    pair(&laptop, &server);
    in_sync(&[&laptop, &server]);
    let quiet = laptop.thrum(&["doctor", "-q"]);
    assert!(!quiet.stdout.contains("peer_"), "{}", quiet.stdout);
}

#[test]
fn both_terminals_say_that_an_old_entry_was_replaced() {
    let (mut laptop, mut server) = paired_daemons();
    let told = |old: DaemonId| format!("It takes the place of {old}, the same machine");
    for wiped in 0..2 {
        let old = if wiped == 0 { wipe(&mut laptop) } else { wipe(&mut server) };
        let mut accepting = Terminal::of(&laptop, &["peer", "add"]);
        let code = accepting.shows_code();
        let address = laptop.peer_address().to_string();
        let joined = Client::new(&server)
            .run_with(&["peer", "join", &address], &format!("{code}\n"))
            .exits(0);
        let (_, accepted) = accepting.ends();
        assert_eq!(joined.stderr.contains(&told(old)), wiped == 0, "{}", joined.stderr);
        assert_eq!(accepted.contains(&told(old)), wiped == 1, "{accepted}");
    }
}

#[test]
fn a_pairing_that_is_not_confirmed_replaces_nothing() {
    let (mut laptop, server) = paired_daemons();
    let session = laptop.open_pairing();
    let key = SecretKey::generate().unwrap();
    let addr = format!("x:{}", server.peer_address().port());
    let params = pair_request(&laptop, &key, Some(session.code), server.name(), &addr);
    laptop.stranger().call::<PairRequest>(&params).unwrap();
    server.append(["still a peer"]);
    converge(SHORT, &[&laptop, &server]);
    laptop.has_peer(&server).unwrap();
    laptop.kill();
    laptop.start_again();
    laptop.has_peer(&server).unwrap();
    assert_eq!(laptop.ask::<thrum_api::local::PeerList>(Empty {}).peers.len(), 1);
}

#[test]
fn daemons_of_one_name_at_other_places_are_two_peers() {
    let laptop = Daemon::start("laptop");
    let (one, two) = (Daemon::start("server"), Daemon::start("server"));
    pair(&laptop, &one);
    pair(&laptop, &two);
    laptop.has_peer(&one).and_then(|()| laptop.has_peer(&two)).unwrap();
}
