//! Backups that are made while a daemon runs, and what restoring them brings back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use tests::harness::{
    Client, Daemon, SHORT, Setup, Tmpfs, converge, eventually, holds, paired_daemons, skip,
};

/// A client that restores into this daemon's state directory.
fn client(daemon: &Daemon) -> Client {
    Client::new(daemon)
        .env("THRUM_STATE_DIR", daemon.state().display())
        .env("THRUM_MACHINE_ID_FILE", daemon.folder().join("machine-id").display())
}

/// Makes a backup beside the state directory.
fn back_up(daemon: &Daemon, name: &str) -> PathBuf {
    let file = daemon.folder().join(name);
    client(daemon).run(&["backup", name]).exits(0);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    file
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_backup_made_during_writes_holds_all_that_was_acknowledged_before() {
    let mut daemon = Daemon::start("laptop");
    for part in 0..2 {
        daemon.append((0..1000).map(|n| format!("before {part} {n}")));
    }
    let stop = AtomicBool::new(false);
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                daemon.append([format!("during {n}")]);
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let answer = client(&daemon).run(&["backup", "b", "--json"]).exits(0).json();
        stop.store(true, Ordering::Relaxed);
        answer
    });
    let events = answer["events"].as_u64().unwrap();
    assert!(events >= 2000, "{answer}");
    assert!(!names_in(daemon.state()).iter().any(|name| name.contains("backup")), "it left files");
    let all = daemon.texts();

    // It is not replaced by accident, and on demand as a whole.
    let refused = client(&daemon).run(&["backup", "b"]).exits(1);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    let other = client(&daemon).command(&["backup", "-"]).output().unwrap();
    assert!(other.status.success() && other.stdout.starts_with(b"SQLite format 3"));

    daemon.stop();
    client(&daemon).run(&["restore", "b", "--yes"]).exits(0);
    daemon.start_again();
    let restored = daemon.texts();
    assert_eq!(u64::try_from(restored.len()).unwrap(), events);
    assert_eq!(restored, all[..restored.len()], "a prefix of the log");
}

#[test]
fn a_restore_says_what_is_lost_and_the_peer_brings_it_back() {
    let (mut laptop, server) = paired_daemons();
    laptop.append((0..10).map(|n| format!("kept {n}")));
    client(&laptop).run(&["send", "--as", "a", "b", "hello"]).exits(0);
    client(&laptop).run(&["inbox", "--as", "b"]).exits(0);
    let epoch = laptop.health().epoch;
    back_up(&laptop, "b");
    laptop.append((0..5).map(|n| format!("later {n}")));
    let all = converge(SHORT, &[&laptop, &server]);

    let running = client(&laptop).run(&["restore", "b", "--yes"]).exits(1);
    assert!(running.stderr.contains("thrum daemon stop"), "{}", running.stderr);
    laptop.stop();
    let before = names_in(laptop.state());
    let dry = client(&laptop).run(&["restore", "b", "--dry-run"]).exits(0);
    assert!(dry.stderr.contains("lacks 5 events of the present log"), "{}", dry.stderr);
    let unasked = client(&laptop).run(&["restore", "b"]).exits(2);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    assert_eq!(names_in(laptop.state()).len(), before.len(), "nothing was changed");

    let peers = fs::read(laptop.state().join("peers.json")).unwrap();
    let done = client(&laptop).run(&["restore", "b", "--yes", "--json"]).exits(0).json();
    let kept = done["kept"][0].as_str().unwrap();
    assert!(fs::metadata(kept).unwrap().len() > 0, "{done}");
    assert_eq!(fs::read(laptop.state().join("peers.json")).unwrap(), peers, "it was newer");
    laptop.start_again();
    assert_ne!(laptop.health().epoch, epoch, "no position is given twice");
    let unread = client(&laptop).run(&["inbox", "--as", "b", "--count"]).exits(0);
    assert_eq!(unread.stdout, "0\n", "what was read stays read");
    laptop.append(["new"]);
    assert_eq!(converge(SHORT, &[&laptop, &server]), all + 1);
}

/// Every file of the state directory is removed while the daemon runs.
#[test]
fn a_daemon_whose_files_were_removed_can_still_be_backed_up() {
    let (mut laptop, server) = paired_daemons();
    laptop.append((0..10).map(|n| format!("laptop {n}")));
    let (id, all) = (laptop.id(), converge(SHORT, &[&laptop, &server]));
    for name in names_in(laptop.state()).iter().filter(|name| !name.ends_with(".sock")) {
        fs::remove_file(laptop.state().join(name)).unwrap();
    }
    back_up(&laptop, "b");
    laptop.kill();
    client(&laptop).run(&["restore", "b"]).exits(0);
    laptop.start_again();
    assert_eq!((laptop.id(), laptop.texts().len()), (id, all));
    // The tokens were in it.
    laptop.append(["and on"]);
    assert_eq!(converge(SHORT, &[&laptop, &server]), all + 1);
    eventually(SHORT, || holds(laptop.status().sync.in_sync == 1, || "not in sync".to_owned()));
}

#[test]
fn what_is_no_sound_backup_is_refused_and_changes_nothing() {
    let mut daemon = Daemon::start("laptop");
    daemon.append((0..500).map(|n| format!("event {n}")));
    let good = back_up(&daemon, "good");
    daemon.stop();
    let (whole, log) = (fs::read(&good).unwrap(), daemon.state().join("log.db"));
    let present = fs::read(&log).unwrap();
    let damaged = {
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0x5a);
        bytes
    };
    let mut newer = whole.clone();
    // user_version in the header.
    newer[60..64].copy_from_slice(&1_000_i32.to_be_bytes());
    for (name, bytes, says) in [
        ("half", &whole[..whole.len() / 2], "malformed"),
        ("damaged", &damaged, "malformed"),
        ("newer", &newer, "schema version 1000"),
        ("log", &present, "is not a backup"),
        ("text", b"hello".as_slice(), "is not a backup"),
        ("empty", b"".as_slice(), "is not a backup"),
    ] {
        fs::write(daemon.folder().join(name), bytes).unwrap();
        let refused = client(&daemon).run(&["restore", name, "--yes"]).exits(1);
        assert!(refused.stderr.contains(says), "{name}: {}", refused.stderr);
        assert_eq!(fs::read(&log).unwrap(), present, "{name}");
    }
    for (name, says) in [("none", "is that its name?"), (".", "name the backup in it")] {
        let none = client(&daemon).run(&["restore", name, "--yes"]).exits(1);
        assert!(none.stderr.contains(says), "{}", none.stderr);
    }
}

#[test]
fn a_backup_of_another_machine_is_told_and_does_not_sync() {
    let (laptop, _server) = paired_daemons();
    laptop.append(["mine"]);
    let backup = back_up(&laptop, "b");
    let mut other = Setup::new("other").machine("another machine").prepare();
    let file = backup.display().to_string();
    let _plan = client(&other).run(&["restore", &file, "--dry-run", "--json"]).exits(0).json();
    assert!(!other.state().exists(), "looking made the directory");
    let unasked = client(&other).run(&["restore", &file]).exits(2);
    assert!(unasked.stderr.contains("from another machine"), "{}", unasked.stderr);
    client(&other).run(&["restore", &file, "--yes"]).exits(0);
    other.start_again();
    assert_eq!(other.texts(), ["mine"]);
    assert!(other.status().problems.iter().any(|problem| problem.id == "identity"));
}

/// A killed thrumd leaves a part of its log in the WAL, and a killed restore its unfinished files.
#[test]
fn the_log_before_a_restore_is_kept_in_one_file_and_nothing_is_left_over() {
    let mut daemon = Daemon::start("laptop");
    daemon.append(["in the backup"]);
    back_up(&daemon, "b");
    daemon.append(["after the backup"]);
    daemon.kill();
    assert!(daemon.state().join("log.db-wal").exists());
    let done = client(&daemon).run(&["restore", "b", "--yes", "--json"]).exits(0).json();
    let kept = done["kept"].as_array().unwrap();
    assert_eq!(
        kept.len(),
        1,
        "a crash between two renames would part the log from its WAL: {done}"
    );
    let kept = rusqlite::Connection::open(kept[0].as_str().unwrap()).unwrap();
    let count = kept.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.unwrap(), 2);
    for name in ["log.db.restoring", "log.db.restoring-wal", "log.db.keeping"] {
        fs::write(daemon.state().join(name), "half").unwrap();
    }
    fs::create_dir(daemon.state().join("backup.tmp")).unwrap();
    daemon.start_again();
    assert_eq!(daemon.texts(), ["in the backup"]);
    let left = |name: &&String| ["ing", "ing-wal", ".tmp"].iter().any(|end| name.ends_with(end));
    assert_eq!(names_in(daemon.state()).iter().find(left), None);
}

#[test]
fn a_backup_that_would_fill_the_disk_is_refused() {
    let disk = match Tmpfs::mount(16) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let daemon = Setup::new("laptop").state_in(disk.path()).start();
    daemon.append((0..20).map(|n| format!("{n} {}", "x".repeat(100_000))));
    // The copy alone would fit.
    let filler = disk.fill_but(daemon.status().log.size_bytes + 100_000);
    let refused = client(&daemon).run(&["backup", "b"]).exits(1);
    assert!(refused.stderr.contains("is too full: a backup needs"), "{}", refused.stderr);
    assert!(refused.stderr.contains("df -h"), "{}", refused.stderr);
    assert!(!names_in(daemon.state()).iter().any(|name| name.contains("backup")), "it left files");
    assert!(!daemon.folder().join("b").exists());
    daemon.append(["still written"]);
    fs::remove_file(filler).unwrap();
    back_up(&daemon, "b");
}

/// As where a unit's directory was removed and made again, or the kernel has made a failing disk read-only.
#[test]
fn a_backup_needs_no_place_in_the_state_directory() {
    let daemon = Daemon::start("laptop");
    daemon.append(["kept"]);
    let state = daemon.state();
    let mount = |words: &[&str]| {
        let done = Command::new("mount").args(words).arg(state).output();
        done.is_ok_and(|done| done.status.success())
    };
    let above = state.display().to_string();
    if !mount(&["--bind", &above]) {
        return skip("can't mount");
    }
    let _unmounted = Unmounted(state.to_owned());
    assert!(mount(&["-o", "remount,bind,ro"]));
    assert!(fs::create_dir(state.join("no")).is_err());
    back_up(&daemon, "b");
}

/// Unmounts a folder when it is dropped.
struct Unmounted(PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
