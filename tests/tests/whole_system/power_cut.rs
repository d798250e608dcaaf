//! The power fails while a daemon writes.

use std::collections::BTreeSet;

use tests::harness::{CutDisk, Setup, process, skip, while_appending};
use thrum_api::Sequence;

#[test]
fn every_acknowledged_append_survives_a_power_cut() {
    let disk = match CutDisk::mount(64) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let mut daemon = Setup::new("laptop").state_in(&disk.path()).start();
    let id = daemon.id();
    let mut acknowledged = BTreeSet::new();
    for round in 0..5 {
        let (cut, _) = while_appending(&daemon, round, |confirmed| {
            // At another one each round: in the first commits, and with a long log.
            let before: Vec<_> = confirmed.iter().take(round * 25 + 1).collect();
            assert_eq!(before.len(), round * 25 + 1, "appends were refused before the cut");
            acknowledged.extend(before);
            acknowledged.extend(confirmed.try_iter());
            // What is confirmed from now on does not count: an fsync that is under way when ext4 is shut down may
            // report success, which no disk without power does.
            let cut = disk.cut();
            if cut.is_err() {
                // The writers end when they are refused.
                process::signal(daemon.pid(), rustix::process::Signal::KILL);
            }
            cut
        });
        cut.unwrap();
        daemon.kill();
        disk.boot();
        daemon.start_again();
        assert_eq!(daemon.id(), id);
        for (position, event) in daemon.events().iter().enumerate() {
            assert_eq!(event.sequence, Sequence(position as u64 + 1), "a gap in the log");
        }
        let held: BTreeSet<_> = daemon.texts().into_iter().collect();
        let lost: Vec<_> = acknowledged.difference(&held).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_commit_waits_for_the_data_of_the_log_alone() {
    // By .cargo/config.toml, also when it is built for a package. SQLite doesn't list it among its options, but a
    // program names what it calls of the C library.
    let thrumd = std::fs::read(tests::harness::program("thrumd")).unwrap();
    let calls = |name: &[u8]| thrumd.windows(name.len()).any(|bytes| bytes == name);
    assert!(calls(b"\0fdatasync\0"), "SQLite commits with fsync");
}
