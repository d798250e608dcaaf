//! The registry of paired machines, kept in `peers.json`: mode 0600, written rarely and atomically.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use thrum_api::DaemonId;
use tokio::sync::watch;

use super::peers_file::PeersFile;
use super::{PairingPolicy, Peer};
use crate::held_files::HeldFiles;
use crate::message_id;
use crate::report::Chain;
use crate::statefile::{StateFile, StateFileError};
use crate::tailnet::Caller;

const FILE: &str = "peers.json";

/// An error of the registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// `peers.json` can't be read or written. Memory and disk are the same: as before the change, or
    /// as after it for [`StateFileError::Unsynced`].
    #[error("can't read or write the list of peers")]
    File(#[source] StateFileError),
    /// The task that writes the file ended early.
    #[error("the task that writes the list of peers ended early")]
    Interrupted(#[source] tokio::task::JoinError),
    /// No peer has that name.
    #[error("no peer is called {typed:?}{}", suggestion(near, *alike))]
    Unknown {
        typed: String,
        /// Similar names, or else all of them.
        near: Vec<String>,
        /// Whether the names are similar.
        alike: bool,
    },
    /// Several peers have that name.
    #[error(
        "{} peers are called {typed:?}; use the id of one, as in `thrum peer remove ID`: {}",
        ids.len(),
        ids.join(", ")
    )]
    Ambiguous {
        typed: String,
        /// Their ids and addresses.
        ids: Vec<String>,
    },
}

fn suggestion(near: &[String], alike: bool) -> String {
    match near {
        [] => "; no machine is paired yet, `thrum peer add` pairs one".to_owned(),
        [only] if alike => format!("; did you mean {only:?}?"),
        [only] => format!("; there is only {only:?}"),
        several => format!("; there are {}", several.join(", ")),
    }
}

/// The registry. Clones share it.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    file: StateFile,
    // Held while the file is written, so that changes are made one after the other, and one blocking
    // thread at most waits for the disk. Readers only wait for `contents`, which is replaced as a whole.
    writing: Arc<tokio::sync::Mutex<()>>,
    contents: Mutex<PeersFile>,
    changes: watch::Sender<u64>,
    // Tokens of peers that were used by another node than their own.
    misused: Mutex<BTreeMap<DaemonId, Misuse>>,
}

#[derive(Default)]
struct Misuse {
    count: u64,
    last_caller: String,
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedToken {
    /// It belongs to no peer.
    Unknown,
    /// It was given to another node.
    OtherNode,
}

impl Registry {
    /// Reads `peers.json`. A damaged file is moved aside and reported by the returned warning.
    ///
    /// # Errors
    /// When the file can't be read or moved.
    pub fn open(state_dir: &Path) -> Result<(Self, Option<String>), RegistryError> {
        let file = StateFile::new(state_dir, FILE);
        let (contents, warning) = match file.read() {
            Ok(contents) => (contents.unwrap_or_default(), None),
            Err(error @ StateFileError::Damaged { .. }) => {
                let aside = file.move_aside("damaged").map_err(RegistryError::File)?;
                let warning = format!(
                    "{}; it was moved aside to {} and no machine is paired now: put a backup in its \
                     place and restart, or pair again with `thrum peer add`",
                    Chain(&error),
                    aside.display()
                );
                tracing::warn!("{warning}");
                (PeersFile::default(), Some(warning))
            }
            Err(error) => return Err(RegistryError::File(error)),
        };
        let shared = Shared {
            file,
            writing: Arc::default(),
            contents: Mutex::new(contents),
            changes: watch::Sender::new(0),
            misused: Mutex::default(),
        };
        Ok((Self { shared: Arc::new(shared) }, warning))
    }

    /// Holds `peers.json` from now on, so that another one in its place is noticed and not overwritten.
    ///
    /// # Errors
    /// When another one came since it was read.
    pub fn hold(&self, files: &HeldFiles) -> Result<(), RegistryError> {
        self.shared.file.hold(files).map_err(RegistryError::File)
    }

    /// The contents of `peers.json`, tokens included, for a backup: the file itself may have been removed.
    ///
    /// # Errors
    /// None in practice: it is written to memory.
    pub fn contents(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&*self.shared.contents.lock())
    }

    /// Whether this state directory has a list of peers that can be read. Changes nothing.
    pub fn is_readable(state_dir: &Path) -> bool {
        matches!(Self::file(state_dir).read::<PeersFile>(), Ok(Some(_)))
    }

    /// The file in this state directory.
    pub fn file(state_dir: &Path) -> StateFile {
        StateFile::new(state_dir, FILE)
    }

    /// Whether a person turned sync on by `peer add` or `peer join`.
    pub fn sync_wanted(&self) -> bool {
        self.shared.contents.lock().sync_wanted
    }

    /// Stores that a person turned sync on.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn want_sync(&self) -> Result<(), RegistryError> {
        self.change(|contents| contents.sync_wanted = true).await
    }

    /// Whether a grant in the tailnet's policy may replace the code.
    pub fn policy(&self) -> PairingPolicy {
        self.shared.contents.lock().policy.clone()
    }

    /// Stores whether a grant may replace the code.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn set_policy(&self, policy: PairingPolicy) -> Result<(), RegistryError> {
        self.change(|contents| contents.policy = policy).await
    }

    /// Watches for changes; the value counts them.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Every peer, by daemon id.
    pub fn all(&self) -> Vec<Peer> {
        self.shared.contents.lock().peers.values().map(|entry| entry.peer.clone()).collect()
    }

    /// One peer.
    pub fn get(&self, id: DaemonId) -> Option<Peer> {
        self.shared.contents.lock().peers.get(&id).map(|entry| entry.peer.clone())
    }

    /// Adds a peer or replaces its token, address, name and node; `removed_us` becomes false.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn put(&self, peer: Peer) -> Result<(), RegistryError> {
        self.put_if(peer, |_| true).await.map(drop)
    }

    /// As [`Self::put`], if `may` accepts the peer that has this id now. Returns whether it did; no other
    /// change happens in between.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn put_if(
        &self,
        peer: Peer,
        may: impl FnOnce(Option<&Peer>) -> bool + Send + 'static,
    ) -> Result<bool, RegistryError> {
        let id = peer.daemon_id;
        let put = move |contents: &mut PeersFile| {
            let may = may(contents.peers.get(&id).map(|entry| &entry.peer));
            if may {
                contents.put(peer);
            }
            may
        };
        let put = self.change(put).await?;
        if put {
            self.forget_misuse(id);
        }
        Ok(put)
    }

    /// Changes a peer; the file is written only if something changed. Returns the result of
    /// `change`, or None if there is no such peer.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn update<R: Send + 'static>(
        &self,
        id: DaemonId,
        change: impl FnOnce(&mut Peer) -> R + Send + 'static,
    ) -> Result<Option<R>, RegistryError> {
        self.change(move |contents| {
            contents.peers.get_mut(&id).map(|entry| change(&mut entry.peer))
        })
        .await
    }

    /// Forgets a peer and its token. Returns whether it was there.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn remove(&self, id: DaemonId) -> Result<bool, RegistryError> {
        self.remove_if(id, |_| true).await
    }

    /// As [`Self::remove`], if `may` accepts the peer. Returns whether it was removed; no other change
    /// happens in between.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn remove_if(
        &self,
        id: DaemonId,
        may: impl FnOnce(&Peer) -> bool + Send + 'static,
    ) -> Result<bool, RegistryError> {
        let remove = move |contents: &mut PeersFile| {
            let may = contents.peers.get(&id).is_some_and(|entry| may(&entry.peer));
            may && contents.peers.remove(&id).is_some()
        };
        let gone = self.change(remove).await?;
        if gone {
            self.forget_misuse(id);
        }
        Ok(gone)
    }

    /// The peer that has this token, if the caller is the node that the token was given to. The
    /// comparison takes constant time for each peer.
    ///
    /// # Errors
    /// When no peer has it, or the caller is another node; that is counted and logged.
    pub fn authenticate(&self, token: &str, caller: &Caller) -> Result<DaemonId, RefusedToken> {
        let (id, node) = self.holder(token).ok_or(RefusedToken::Unknown)?;
        if from_node(caller, node.as_deref()) {
            return Ok(id);
        }
        let mut misused = self.shared.misused.lock();
        let Misuse { count, last_caller } = misused.entry(id).or_default();
        *count = count.saturating_add(1);
        *last_caller = caller.describe();
        // Logged less and less often: the holder of a stolen token could fill the log.
        if count.is_power_of_two() {
            tracing::warn!(
                about = %id, journal.message_id = message_id::TOKEN_ELSEWHERE, peer = %id, caller = %caller.describe(), refusals = *count,
                "the token of a peer came from another node and was refused; \
                 if that machine is not yours, pair again to replace the token"
            );
        }
        Err(RefusedToken::OtherNode)
    }

    /// Forgets that other nodes used the token of this peer.
    pub(super) fn forget_misuse(&self, id: DaemonId) {
        self.shared.misused.lock().remove(&id);
    }

    /// Calls `read` with the contents of the file.
    pub(super) fn read<R>(&self, read: impl FnOnce(&PeersFile) -> R) -> R {
        read(&self.shared.contents.lock())
    }

    /// How often another node used a peer's token since this daemon started.
    pub fn refused_elsewhere(&self, id: DaemonId) -> u64 {
        self.shared.misused.lock().get(&id).map_or(0, |misuse| misuse.count)
    }

    /// The node that used it last.
    pub fn refused_caller(&self, id: DaemonId) -> Option<String> {
        self.shared.misused.lock().get(&id).map(|misuse| misuse.last_caller.clone())
    }

    /// The address of a peer; None if there is no such peer or it is a name.
    pub fn address_of(&self, id: DaemonId) -> Option<SocketAddr> {
        self.shared.contents.lock().peers.get(&id)?.peer.address.parse().ok()
    }

    /// As [`Self::authenticate`], without counting and logging other nodes.
    pub fn accepts(&self, token: &str, caller: &Caller) -> Option<DaemonId> {
        let (id, node) = self.holder(token)?;
        from_node(caller, node.as_deref()).then_some(id)
    }

    // Compares with every peer, so that the timing doesn't reveal which one matched.
    fn holder(&self, token: &str) -> Option<(DaemonId, Option<String>)> {
        let mut found = None;
        for (id, entry) in &self.shared.contents.lock().peers {
            if entry.peer.token.matches(token) {
                found = Some((*id, entry.peer.node.clone()));
            }
        }
        found
    }

    // Disk first, then memory: what was answered is on disk, and a failed write changes nothing. Both
    // happen in one blocking task, so that a caller who disconnects can't separate them.
    pub(super) async fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut PeersFile) -> R + Send + 'static,
    ) -> Result<R, RegistryError> {
        let shared = Arc::clone(&self.shared);
        let one_at_a_time = Arc::clone(&shared.writing).lock_owned().await;
        let work = move || {
            let _one_at_a_time = one_at_a_time;
            let before = shared.contents.lock().clone();
            let mut after = before.clone();
            let result = change(&mut after);
            if !after.same_as(&before) {
                let written = shared.file.write(&after);
                // An unsynced file is what the next start reads, so it counts already.
                if matches!(written, Ok(()) | Err(StateFileError::Unsynced { .. })) {
                    *shared.contents.lock() = after;
                    shared.changes.send_modify(|count| *count = count.wrapping_add(1));
                }
                written.map_err(RegistryError::File)?;
            }
            Ok(result)
        };
        tokio::task::spawn_blocking(work).await.map_err(RegistryError::Interrupted)?
    }
}

// A peer without a node is of the loopback kind: its token is invalid in a tailnet, where any node
// could have found it.
fn from_node(caller: &Caller, node: Option<&str>) -> bool {
    node == caller.node.as_ref().map(|node| node.stable_id.as_str())
}

/// Forgets every peer and token of a directory whose daemon gets a new identity. Blocks.
pub(super) fn forget_all(state_dir: &Path) -> Result<(), RegistryError> {
    let file = StateFile::new(state_dir, FILE);
    let mut contents: PeersFile = match file.read() {
        Ok(None) => return Ok(()),
        Ok(Some(contents)) => contents,
        Err(StateFileError::Damaged { .. }) => {
            return file.move_aside("damaged").map(|_| ()).map_err(RegistryError::File);
        }
        Err(error) => return Err(RegistryError::File(error)),
    };
    contents.peers.clear();
    file.write(&contents).map_err(RegistryError::File)
}
