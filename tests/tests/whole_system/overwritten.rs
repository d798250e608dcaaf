//! Another program writes to `log.db` while the daemon uses it: nothing of that is taken for the log, and nothing
//! that is still whole is lost.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tests::harness::{Client, Daemon, SHORT, Setup, Tmpfs, output_within, skip};

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
    let copy = daemon.backup_and_go_on();
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
    let (mut daemon, copy) = with_an_old_copy(Setup::new("laptop"), THE_DAEMON_LACKS_ONE);
    write_over(&daemon, copy.path());
    // So much is written to the WAL before the commit is refused.
    daemon.try_append((0..40).map(|_| "x".repeat(100_000))).unwrap_err();
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
fn with_an_old_copy(setup: Setup, more: usize) -> (Daemon, TempDir) {
    let mut daemon = setup.start();
    let text = |n| format!("{n} {}", "x".repeat(1300));
    daemon.append((0..IN_THE_COPY).map(text));
    let copy = daemon.backup_and_go_on();
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
    let (mut daemon, copy) = with_an_old_copy(Setup::new("laptop"), THE_DAEMON_LACKS_ONE);
    write_over(&daemon, copy.path());
    is_refused(&daemon, &Client::new(&daemon), "another program wrote to");
    fs::remove_file(daemon.state().join("log.db")).unwrap();
    daemon.stop();
    assert!(!daemon.state().join("log.db").exists());
    // The copy, and the WAL.
    assert_eq!(named(&daemon, "log.db.held-", "").len(), 2);
    daemon.start_again();
    assert_eq!(daemon.texts(), [""; 0]);
    is_healed(&Client::new(&daemon));
}

/// Stops a daemon on a full disk after that was done to its files, and starts it when there is space again. Answers how
/// many events it has then.
fn stop_on_a_full_disk(damage: impl FnOnce(&Daemon, &Path)) -> Option<usize> {
    let disk = match Tmpfs::mount(8) {
        Ok(disk) => disk,
        Err(reason) => {
            skip(&reason);
            return None;
        }
    };
    let setup = Setup::new("laptop").state_in(disk.path());
    let (mut daemon, copy) = with_an_old_copy(setup, THE_DAEMON_LACKS_ONE);
    let epoch = daemon.status().log.epoch;
    damage(&daemon, copy.path());
    let filler = disk.fill();
    daemon.stop();
    assert!(daemon.log_text().contains("what thrumd had written last to"));
    fs::remove_file(filler).unwrap();
    let wal = named(&daemon, "log.db.held-", "-wal");
    assert!(String::from_utf8_lossy(&fs::read(&wal[0]).unwrap()).contains("in the WAL"));
    daemon.start_again();
    assert_ne!(daemon.status().log.epoch, epoch, "no position is given twice");
    let events = daemon.texts().len();
    is_healed(&Client::new(&daemon));
    Some(events)
}

#[test]
fn an_old_copy_is_not_mixed_with_the_wal_although_there_is_no_space_to_keep_the_log() {
    let events = stop_on_a_full_disk(|daemon, copy| {
        write_over(daemon, copy);
        is_refused(daemon, &Client::new(daemon), "another program wrote to");
    });
    assert!(events.is_none_or(|events| events == IN_THE_COPY), "{events:?}");
}

#[test]
fn what_is_left_of_a_removed_log_is_kept_although_there_is_no_space_to_keep_the_log() {
    let events = stop_on_a_full_disk(|daemon, _| {
        fs::remove_file(daemon.state().join("log.db")).unwrap();
        is_refused(daemon, &Client::new(daemon), "log.db was removed");
    });
    assert!(events.is_none_or(|events| events == 0), "{events:?}");
}

#[test]
fn an_older_wal_that_was_written_over_that_of_the_daemon_is_noticed_and_loses_nothing() {
    let mut daemon = Daemon::start("laptop");
    daemon.append(["before"]);
    let (log, wal) = (daemon.state().join("log.db"), daemon.state().join("log.db-wal"));
    let old = [&log, &wal].map(|path| fs::read(path).unwrap());
    daemon.append((0..20).map(|n| format!("later {n}")));
    // Nothing is written before the stop.
    fs::write(&wal, &old[1]).unwrap();
    daemon.stop();
    daemon.start_again();
    assert_eq!(daemon.texts().len(), 21);
    let old = [&log, &wal].map(|path| fs::read(path).unwrap());
    daemon.append((0..20).map(|n| format!("last {n}")));
    fs::write(&wal, &old[1]).unwrap();
    is_refused(&daemon, &Client::new(&daemon), "another program wrote to");
    // With its database, as a backup tool copies both.
    fs::write(&log, &old[0]).unwrap();
    daemon.stop();
    let replaced = named(&daemon, "log.db.replaced-", "-wal");
    assert_eq!(fs::read(replaced.iter().max().unwrap()).unwrap(), old[1]);
    daemon.start_again();
    assert_eq!(daemon.texts().len(), 41);
    is_healed(&Client::new(&daemon));
}

#[test]
fn an_old_copy_that_was_mixed_with_the_wal_is_not_used() {
    let (mut daemon, copy) = with_an_old_copy(Setup::new("laptop"), THE_WAL_LACKS_ONE);
    write_over(&daemon, copy.path());
    is_refused(&daemon, &Client::new(&daemon), "another program wrote to");
    // Nothing is put in order at a stop.
    daemon.kill();
    let ended = output_within(SHORT, &mut daemon.command()).unwrap();
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(65), "{text}");
    assert!(text.contains("log.db is damaged"), "{text}");
}
