//! Message ids for the journal (systemd.journal-fields(7)): each names a kind of log line that operators alert on, and
//! stays the same whatever its text. docs/monitoring.md and packaging/thrum.catalog explain them.

/// A machine was paired.
pub const PAIRED: &str = "d65bc073c0ba467784245eb53e6f3e4c";
/// A machine is no longer a peer: it was removed here.
pub const REMOVED: &str = "4201e70817dd4f94a65250d7e12d5474";
/// A peer has removed this machine.
pub const REMOVED_BY_PEER: &str = "0a2c4b0ee7924b84b235cf232ce47c0d";
/// A pairing session ended after too many wrong codes.
pub const PAIRING_LOCKED: &str = "17c83d10aafe443698125efd12fc46d4";
/// Somebody gave the right code with the daemon id of another machine.
pub const DAEMON_ID_TAKEN: &str = "7f479452a85949fc9c324d2c713cbb27";
/// The token of a peer came from another machine.
pub const TOKEN_ELSEWHERE: &str = "4ab0eb0ac58b4bde9c40e8f52e853560";
/// A peer can't be synced with.
pub const PEER_LOST: &str = "85c36ccc1ede43d0ae69235ed68566ea";
/// A peer answers again.
pub const PEER_BACK: &str = "a1bf992eeddf4433b1b589682620b971";
/// The log of a peer was replaced: it is read from its start.
pub const LOG_REPLACED: &str = "a04d075bba934b43b7eb7be6c2068654";
/// A new epoch of this log began: it was lost, replaced or rolled back.
pub const NEW_EPOCH: &str = "ab1d39ef2a5d4280b11d289ab40bb1d7";
/// An origin has two histories.
pub const FORKED: &str = "d25a1464a8094f48ab08a9133fe762a3";
/// Another machine writes with the key of this daemon.
pub const KEY_COPIED: &str = "bf4e593f6ff74581a3848c95ff95d98f";
/// A peer brings events that their origins did not sign.
pub const UNSIGNED: &str = "acb1f11f92a5455ebc9b7d3c8a8b8331";
/// An event was moved to quarantine.
pub const QUARANTINED: &str = "0c21a2fba8014fdebbc9db81514ee518";
/// An event of the log was damaged on the disk.
pub const DAMAGED: &str = "70fe13289f4742d7926a7697ff8f84d1";
/// Events can't be written to the log.
pub const WRITES_FAIL: &str = "9397c662a5244d0691f6002ca9ee2965";
/// Events can be written to the log again.
pub const WRITES_WORK: &str = "2d10274d30e74b37bc8e866a26c95fe2";
/// A file of the state directory was removed, replaced or overwritten: nothing is written.
pub const FILES_CHANGED: &str = "3e17b123af2a45f88dfa4b0ee8259a04";
/// The files of the state directory are those in use again.
pub const FILES_BACK: &str = "9539848f910741ac87322a3014be6d90";
/// Peers can't reach this machine, because it can't listen.
pub const NOT_LISTENING: &str = "c51cc11acaaa408c9aa040f084b02c80";
/// This machine listens for peers.
pub const LISTENING: &str = "f89634f2a0b5420a8868df46da1d4b0c";
/// Programs can't find the socket, and it can't be bound anew.
pub const SOCKET_LOST: &str = "f5746dd2b3e44fd9afd77c8e3aea36f6";
/// The views can't follow the log.
pub const VIEWS_FAIL: &str = "c7c65e167ce6429292bf10f82936a96f";
/// No backup was made.
pub const BACKUP_FAILED: &str = "e3222c7e53de4442a0ff9c2661e42ba6";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    /// The names and ids of this file.
    fn all() -> Vec<(String, String)> {
        let own = include_str!("message_id.rs");
        let line = |line: &str| {
            let (name, id) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
            Some((name.to_owned(), id.strip_suffix("\";")?.to_owned()))
        };
        own.lines().filter_map(line).collect()
    }

    fn read(path: &str) -> String {
        fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn every_id_has_128_bits_and_is_another_one() {
        let ids: BTreeSet<_> = all().into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids.len(), all().len());
        assert!(ids.len() > 20, "{ids:?}");
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(is_digit)), "{ids:?}");
    }

    #[test]
    fn the_manual_and_the_catalog_have_every_id_and_no_other() {
        let manual = read("docs/monitoring.md");
        let row = |line: &str| {
            let mut cells = line.strip_prefix("| `")?.split('`');
            let (name, id) = (cells.next()?, cells.nth(1)?);
            (id.len() == 32).then(|| (name.to_owned(), id.to_owned()))
        };
        assert_eq!(manual.lines().filter_map(row).collect::<Vec<_>>(), all());
        let catalog = read("packaging/thrum.catalog");
        let ids = catalog.lines().filter_map(|line| line.strip_prefix("-- ")).map(str::to_owned);
        assert_eq!(
            ids.collect::<Vec<_>>(),
            all().into_iter().map(|(_, id)| id).collect::<Vec<_>>()
        );
    }
}
