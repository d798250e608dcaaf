//! Another program writes to `log.db` while the daemon uses it: nothing of that is taken for the log, and nothing
//! that is still whole is lost.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tests::harness::{Client, Daemon, SHORT, output_within};

use crate::state_files::{is_healed, is_refused, named};

/// Writes into the same file, as `cp` does.
fn write_over(daemon: &Daemon, copy: &Path) {
    let bytes = fs::read(copy.join("log.db")).unwrap();
    fs::write(daemon.state().join("log.db"), bytes).unwrap();
}

#[test]
fn a_copy_written_over_the_database_is_noticed_and_loses_nothing() {
    let mut daemon = Daemon::start("laptop");
    daemon.append(["in the copy"]);
    daemon.stop();
    let copy = daemon.backup();
    daemon.start_again();
    daemon.append(["after the copy"]);
    write_over(&daemon, copy.path());
    is_refused(&daemon, &Client::new(&daemon), "another program wrote to");
    daemon.stop();
    daemon.start_again();
    // The rest is in the WAL, which is whole with this copy.
    assert_eq!(daemon.texts(), ["in the copy", "after the copy"]);
    let replaced = named(&daemon, "log.db.replaced-", "");
    assert_eq!(fs::read(&replaced[0]).unwrap(), fs::read(copy.path().join("log.db")).unwrap());
    is_healed(&Client::new(&daemon));
}

#[test]
fn a_checkpoint_of_another_program_is_noticed_and_loses_nothing() {
    let mut daemon = Daemon::start("laptop");
    daemon.append(["before"]);
    let other = rusqlite::Connection::open(daemon.state().join("log.db")).unwrap();
    other.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
    drop(other);
    is_refused(&daemon, &Client::new(&daemon), "another program wrote to");
    daemon.stop();
    daemon.start_again();
    assert_eq!(daemon.texts(), ["before"]);
    assert_eq!(named(&daemon, "log.db.replaced-", "").len(), 1);
    assert_eq!(named(&daemon, "log.db.held-", "").len(), 0);
    is_healed(&Client::new(&daemon));
}

#[test]
fn an_old_copy_written_over_the_database_is_used_and_what_was_held_is_kept() {
    let (mut daemon, copy) = with_an_old_copy(THE_DAEMON_LACKS_ONE);
    write_over(&daemon, copy.path());
    is_refused(&daemon, &Client::new(&daemon), "another program wrote to");
    let backup = daemon.thrum(&["backup", "-"]).exits(1);
    assert!(backup.stderr.contains("another program wrote to"), "{}", backup.stderr);
    daemon.stop();
    // It is not mixed with the WAL of the other one.
    let now = fs::read(daemon.state().join("log.db")).unwrap();
    assert!(
        now == fs::read(copy.path().join("log.db")).unwrap(),
        "it is what the person put there"
    );
    let wal = named(&daemon, "log.db.held-", "-wal");
    let wal = fs::read(&wal[0]).unwrap();
    assert!(String::from_utf8_lossy(&wal).contains("in the WAL"));
    daemon.start_again();
    assert_eq!(daemon.texts().len(), IN_THE_COPY);
    assert_eq!(named(&daemon, "log.db.held-", "").len(), 2);
    is_healed(&Client::new(&daemon));
}

/// A daemon with an older copy of its database, which lacks what the daemon has in its database and in its WAL. Two
/// events fill a page, and the copy's third page has one. `more` events are in the database since.
fn with_an_old_copy(more: usize) -> (Daemon, TempDir) {
    let mut daemon = Daemon::start("laptop");
    let text = |n| format!("{n} {}", "x".repeat(1300));
    daemon.append((0..IN_THE_COPY).map(text));
    daemon.stop();
    let copy = daemon.backup();
    daemon.start_again();
    daemon.append((0..more).map(text));
    daemon.stop();
    daemon.start_again();
    daemon.append([format!("in the WAL {}", text(0))]);
    (daemon, copy)
}

/// The third and fourth page are full in the database, and the daemon has not read the third one again. With the
/// copy's, its tables are sound, and an event is missing.
const THE_DAEMON_LACKS_ONE: usize = 3;

/// The third page is full in the database, and the WAL has the fourth one and its parent. With the copy, they are a
/// sound tree without the second event of the third page.
const THE_WAL_LACKS_ONE: usize = 1;

const IN_THE_COPY: usize = 5;

#[test]
fn an_old_copy_that_was_written_over_the_database_and_removed_is_not_taken_for_the_log() {
    let (mut daemon, copy) = with_an_old_copy(THE_DAEMON_LACKS_ONE);
    write_over(&daemon, copy.path());
    is_refused(&daemon, &Client::new(&daemon), "another program wrote to");
    fs::remove_file(daemon.state().join("log.db")).unwrap();
    daemon.stop();
    assert!(!daemon.state().join("log.db").exists());
    assert_eq!(named(&daemon, "log.db.held-", "").len(), 1);
    daemon.start_again();
    assert_eq!(daemon.texts(), [""; 0]);
    is_healed(&Client::new(&daemon));
}

#[test]
fn an_old_copy_is_not_mixed_with_the_wal_although_there_is_no_space_to_keep_the_log() {
    let (mut daemon, copy) = with_an_old_copy(THE_DAEMON_LACKS_ONE);
    let epoch = daemon.status().log.epoch;
    write_over(&daemon, copy.path());
    is_refused(&daemon, &Client::new(&daemon), "another program wrote to");
    // The copy of the log can't be written.
    fs::create_dir(daemon.state().join("log.db.keeping")).unwrap();
    daemon.stop();
    assert!(daemon.log_text().contains("what thrumd had written last is kept in"));
    let wal = named(&daemon, "log.db.held-", "-wal");
    assert!(String::from_utf8_lossy(&fs::read(&wal[0]).unwrap()).contains("in the WAL"));
    fs::remove_dir(daemon.state().join("log.db.keeping")).unwrap();
    daemon.start_again();
    assert_eq!(daemon.texts().len(), IN_THE_COPY);
    assert_ne!(daemon.status().log.epoch, epoch, "no position is given twice");
    is_healed(&Client::new(&daemon));
}

#[test]
fn an_old_copy_that_was_mixed_with_the_wal_is_not_used() {
    let (mut daemon, copy) = with_an_old_copy(THE_WAL_LACKS_ONE);
    write_over(&daemon, copy.path());
    is_refused(&daemon, &Client::new(&daemon), "another program wrote to");
    // Nothing is put in order at a stop.
    daemon.kill();
    let ended = output_within(SHORT, &mut daemon.command()).unwrap();
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(65), "{text}");
    assert!(text.contains("log.db is damaged"), "{text}");
}
