//! The secret key of a daemon, in `key.json`: without the right one it doesn't start, and a backup brings it back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tests::harness::{Client, Daemon, SHORT, converge, output_within, pair, paired_daemons};
use thrum_api::label::short_id;

/// What `thrumd` says when it refuses to start.
#[track_caller]
fn refused(daemon: &Daemon, words: &[&str]) {
    let ended = output_within(SHORT, &mut daemon.command()).unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

fn key_path(daemon: &Daemon) -> PathBuf {
    daemon.state().join("key.json")
}

fn key_of(daemon: &Daemon) -> String {
    fs::read_to_string(key_path(daemon)).unwrap()
}

fn seed_of(daemon: &Daemon) -> String {
    let file: serde_json::Value = serde_json::from_str(&key_of(daemon)).unwrap();
    file["seed"].as_str().unwrap().to_owned()
}

/// A client that restores into this daemon's state directory.
fn restoring(daemon: &Daemon) -> Client {
    Client::new(daemon)
        .env("THRUM_STATE_DIR", daemon.state().display())
        .env("THRUM_MACHINE_ID_FILE", daemon.folder().join("machine-id").display())
}

fn restore(daemon: &Daemon, name: &str) {
    restoring(daemon).run(&["restore", name, "--yes"]).exits(0);
}

const WAYS_OUT: [&str; 2] = ["thrum restore FILE", "thrum daemon reset-identity"];

#[test]
fn without_its_key_a_daemon_does_not_start_and_a_backup_or_a_reset_helps() {
    let (mut laptop, server) = paired_daemons();
    laptop.append(["before"]);
    let all = converge(SHORT, &[&laptop, &server]);
    laptop.thrum(&["backup", "b"]).exits(0);
    let (id, key) = (laptop.id(), key_of(&laptop));
    laptop.stop();

    let other = Daemon::start("other");
    let others = key_of(&other);
    let (ours, theirs) = (short_id(id), short_id(other.id()));
    let damaged = key.replace(&seed_of(&laptop), &seed_of(&other));
    for (contents, words) in [
        (None, ["key.json is missing", ""]),
        (Some(""), ["key.json is damaged", ""]),
        (Some(&key[..key.len() / 2]), ["key.json is damaged", ""]),
        (Some(&damaged), ["key.json is damaged", ""]),
        (Some(&others), [ours.as_str(), theirs.as_str()]),
    ] {
        match contents {
            Some(contents) => fs::write(key_path(&laptop), contents).unwrap(),
            None => fs::remove_file(key_path(&laptop)).unwrap(),
        }
        refused(&laptop, &words);
        refused(&laptop, &WAYS_OUT);
        let ended = output_within(SHORT, &mut laptop.command()).unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!said.contains(&seed_of(&other)), "{said}");

        restore(&laptop, "b");
        assert_eq!(key_of(&laptop), key, "{words:?}");
    }
    laptop.start_again();
    assert_eq!(laptop.id(), id);
    laptop.append(["after"]);
    assert_eq!(converge(SHORT, &[&laptop, &server]), all + 1);

    // Without a backup.
    for contents in [None, Some("{"), Some(others.as_str())] {
        let before = laptop.id();
        laptop.stop();
        match contents {
            Some(contents) => fs::write(key_path(&laptop), contents).unwrap(),
            None => fs::remove_file(key_path(&laptop)).unwrap(),
        }
        refused(&laptop, &WAYS_OUT);
        laptop.reset_identity();
        laptop.start_again();
        assert_ne!(laptop.id(), before, "{contents:?}");
        assert_ne!(key_of(&laptop), others, "{contents:?}");
    }
    pair(&laptop, &server);
    laptop.append(["as a new daemon"]);
    assert_eq!(converge(SHORT, &[&laptop, &server]), all + 2);
}

#[test]
fn a_reset_makes_a_new_key() {
    let mut daemon = Daemon::start("laptop");
    let (id, seed) = (daemon.id(), seed_of(&daemon));
    daemon.stop();
    daemon.reset_identity();
    daemon.start_again();
    assert_ne!(daemon.id(), id);
    assert_ne!(seed_of(&daemon), seed);
    let file: serde_json::Value = serde_json::from_str(&key_of(&daemon)).unwrap();
    assert_eq!(file["daemon_id"], daemon.id().to_string());
}

#[test]
fn a_key_that_others_may_read_is_told_of_and_closed_to_them() {
    let mut daemon = Daemon::start("laptop");
    let mode = || key_path(&daemon).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    let told = format!("others on this machine could read {}", key_path(&daemon).display());
    assert!(!daemon.log_text().contains(&told), "{}", daemon.log_text());
    fs::set_permissions(key_path(&daemon), fs::Permissions::from_mode(0o640)).unwrap();
    daemon.stop();
    daemon.start_again();
    let log = daemon.log_text();
    assert!(log.contains(&format!("{told} (mode 0640)")), "{log}");
    assert!(log.contains("`thrum daemon reset-identity`"), "{log}");
    let mode = key_path(&daemon).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn an_identity_from_before_daemons_had_keys_is_refused() {
    let mut daemon = Daemon::start("laptop");
    daemon.stop();
    let text = r#"{"daemon_id": "d_01JABCDEFGHJKMNPQRSTVWXYZ0", "had_database": true}"#;
    fs::write(daemon.state().join("identity.json"), text).unwrap();
    let move_away = format!("move the state directory {} away", daemon.state().display());
    for with_key in [true, false] {
        refused(&daemon, &["by a version from before daemons had keys", &move_away]);
        let reset = output_within(SHORT, daemon.command().arg("--reset-identity")).unwrap();
        assert!(!reset.status.success(), "{with_key}");
        let _gone = fs::remove_file(key_path(&daemon));
    }
    fs::rename(daemon.state(), daemon.folder().join("away")).unwrap();
    daemon.start_again();
}

/// A crash at the first start may leave a key alone.
#[test]
fn a_key_without_an_identity_is_used_for_the_new_one() {
    let mut daemon = Daemon::start("laptop");
    let id = daemon.id();
    daemon.stop();
    fs::remove_file(daemon.state().join("identity.json")).unwrap();
    daemon.start_again();
    assert_eq!(daemon.id(), id);
}

#[test]
fn a_backup_with_another_key_or_none_is_refused() {
    let (mut daemon, other) = (Daemon::start("laptop"), Daemon::start("other"));
    daemon.thrum(&["backup", "good"]).exits(0);
    daemon.stop();
    let before = key_of(&daemon);
    for (name, change, words) in [
        ("none", "ALTER TABLE backup DROP COLUMN key", "from before daemons had keys"),
        ("other", "UPDATE backup SET key = ?1", "is the key of the daemon"),
        ("text", "UPDATE backup SET key = x'7b7d'", "is damaged"),
    ] {
        let file = daemon.folder().join(name);
        fs::copy(daemon.folder().join("good"), &file).unwrap();
        let backup = rusqlite::Connection::open(&file).unwrap();
        match name {
            "other" => backup.execute(change, [key_of(&other).into_bytes()]),
            _ => backup.execute(change, []),
        }
        .unwrap();
        backup.close().unwrap();
        let refused = restoring(&daemon).run(&["restore", name, "--yes"]).exits(1);
        assert!(refused.stderr.contains(words), "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains("nothing was changed"), "{name}: {}", refused.stderr);
        assert_eq!(key_of(&daemon), before, "{name}");
    }
}

#[test]
fn a_restored_daemon_has_its_key_and_the_log_does_not_keep_it() {
    let (mut laptop, server) = paired_daemons();
    laptop.append((0..10).map(|n| format!("event {n}")));
    let (id, all) = (laptop.id(), converge(SHORT, &[&laptop, &server]));
    laptop.thrum(&["backup", "b"]).exits(0);
    let (key, seed) = (key_of(&laptop), seed_of(&laptop));
    laptop.kill();
    fs::remove_dir_all(laptop.state()).unwrap();
    // A new daemon came before the restore.
    laptop.start_again();
    assert_ne!(laptop.id(), id);
    laptop.stop();
    // It is cut off after the identity, and can be repeated.
    let blocked = laptop.state().join("key.json.new");
    fs::create_dir(&blocked).unwrap();
    restoring(&laptop).run(&["restore", "b", "--yes"]).exits(1);
    refused(&laptop, &["key.json is missing"]);
    fs::remove_dir(&blocked).unwrap();
    restore(&laptop, "b");
    assert_eq!(key_of(&laptop), key);
    let aside = crate::state_files::named(&laptop, "key.json.replaced-", "");
    assert_eq!(aside.len(), 1);
    for path in aside.iter().chain([&key_path(&laptop)]) {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let holds = |path: PathBuf| {
        fs::read(path).unwrap().windows(seed.len()).any(|part| part == seed.as_bytes())
    };
    assert!(holds(laptop.folder().join("b")) && !holds(laptop.state().join("log.db")));
    laptop.start_again();
    assert_eq!(laptop.id(), id);
    laptop.append(["and on"]);
    assert_eq!(converge(SHORT, &[&laptop, &server]), all + 1);
    laptop.stop();
    assert!(!holds(laptop.state().join("log.db")));
}
