//! `peers.json`: the paired machines. One owner; 0600; written rarely and atomically.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thrum_api::{DaemonId, Timestamp, Token};
use tokio::sync::watch;

use super::peers_file::PeersFile;
use super::policy::PairingPolicy;
use super::statefile::{StateFile, StateFileError};
use crate::report::Chain;
use crate::tailnet::Caller;

const FILE: &str = "peers.json";

/// What went wrong with the registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// `peers.json` can't be read or written. Memory and disk hold the same: what was before, or the
    /// change if only [`StateFileError::Unsynced`].
    #[error("could not keep the list of peers")]
    File(#[source] StateFileError),
    /// The task that writes died.
    #[error("the task that writes the list of peers ended early")]
    Interrupted(#[source] tokio::task::JoinError),
    /// Nobody is called that.
    #[error("no peer is called {typed:?}{}", suggestion(near, *alike))]
    Unknown {
        /// What was typed.
        typed: String,
        /// Names that are like it, or else all of them.
        near: Vec<String>,
        /// Whether they are like it.
        alike: bool,
    },
    /// Several peers are called that.
    #[error("{} peers are called {typed:?}; use the id of one: {}", ids.len(), ids.join(", "))]
    Ambiguous {
        /// What was typed.
        typed: String,
        /// Their daemon ids.
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

/// A paired machine.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The peer.
    pub daemon_id: DaemonId,
    /// What it calls itself.
    pub name: String,
    /// `ip:port` or `host:port` to dial.
    pub address: String,
    /// Its node in the tailnet (stable id), where there is one.
    pub node: Option<String>,
    /// What requests of either side carry.
    pub token: Token,
    /// When it was paired.
    pub paired_at: Timestamp,
    /// We joined it, and it has not accepted our token yet. If it refuses the token, the pairing
    /// never came about and the entry goes.
    pub unconfirmed: bool,
    /// It told us, or showed by refusing our token, that we were removed there.
    pub removed_us: bool,
    /// The capability by which it was paired without a code: it is a peer as long as the tailnet's
    /// policy grants it that.
    pub by_policy: Option<String>,
}

/// The registry. Clones share it.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    file: StateFile,
    // Held while the file is written, so that changes come one after the other; readers only ever
    // wait for `contents`.
    writing: Mutex<()>,
    contents: Mutex<PeersFile>,
    changes: watch::Sender<u64>,
    // Right tokens that came from a node which they were not given to.
    elsewhere: Mutex<BTreeMap<DaemonId, Elsewhere>>,
}

#[derive(Default)]
struct Elsewhere {
    count: u64,
    /// The last one.
    caller: String,
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedToken {
    /// It is of no peer.
    Unknown,
    /// It was given to another node.
    OtherNode,
}

// Nothing that a panic could leave half done is ever in these locks: contents are replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Reads `peers.json`. A damaged file is set aside and reported by the returned warning.
    ///
    /// # Errors
    /// When the file can't be read or set aside.
    pub fn open(state_dir: &Path) -> Result<(Self, Option<String>), RegistryError> {
        let file = StateFile::new(state_dir, FILE);
        let (contents, warning) = match file.read() {
            Ok(contents) => (contents.unwrap_or_default(), None),
            Err(error @ StateFileError::Damaged { .. }) => {
                let aside = file.set_aside().map_err(RegistryError::File)?;
                let warning = format!(
                    "{}; it was set aside as {} and no machine is paired now: put a backup in its \
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
            writing: Mutex::new(()),
            contents: Mutex::new(contents),
            changes: watch::Sender::new(0),
            elsewhere: Mutex::default(),
        };
        Ok((Self { shared: Arc::new(shared) }, warning))
    }

    /// Whether a person turned sync on by `peer add` or `peer join`.
    pub fn sync_wanted(&self) -> bool {
        lock(&self.shared.contents).sync_wanted
    }

    /// Remembers that a person turned sync on.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn want_sync(&self) -> Result<(), RegistryError> {
        self.change(|contents| contents.sync_wanted = true).await
    }

    /// Whether the tailnet's policy may stand in for the code.
    pub fn policy(&self) -> PairingPolicy {
        lock(&self.shared.contents).policy.clone()
    }

    /// Remembers whether it may.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn set_policy(&self, policy: PairingPolicy) -> Result<(), RegistryError> {
        self.change(|contents| contents.policy = policy).await
    }

    /// Told after each change; the value counts changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Every peer, by daemon id.
    pub fn all(&self) -> Vec<Peer> {
        lock(&self.shared.contents).peers.values().map(|entry| entry.peer.clone()).collect()
    }

    /// One peer.
    pub fn get(&self, id: DaemonId) -> Option<Peer> {
        lock(&self.shared.contents).peers.get(&id).map(|entry| entry.peer.clone())
    }

    /// Adds a peer or replaces its token, address, name and node; `removed_us` becomes false. True
    /// if it was there.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn put(&self, peer: Peer) -> Result<bool, RegistryError> {
        let id = peer.daemon_id;
        let known = self.change(move |contents| contents.put(peer)).await?;
        lock(&self.shared.elsewhere).remove(&id);
        Ok(known)
    }

    /// The same if `may` says so of the peer that is there under its id now. Whether it did; nothing
    /// comes between the question and the change.
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
            lock(&self.shared.elsewhere).remove(&id);
        }
        Ok(put)
    }

    /// Changes a peer if it is there; written only if the change changed something. Answers what
    /// `change` does, None if there is no such peer.
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

    /// Forgets a peer and its token.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn remove(&self, id: DaemonId) -> Result<Option<Peer>, RegistryError> {
        let gone = self.change(move |contents| contents.peers.remove(&id)).await?;
        lock(&self.shared.elsewhere).remove(&id);
        Ok(gone.map(|entry| entry.peer))
    }

    /// The same if `may` says so of the peer; nothing comes between the question and the change.
    /// Whether it was there and is forgotten.
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
            lock(&self.shared.elsewhere).remove(&id);
        }
        Ok(gone)
    }

    /// Which peer this token is of, in constant time for each peer, if the caller is the node that
    /// the token was given to.
    ///
    /// # Errors
    /// When it is of no peer, or the caller is another node; that is counted and logged.
    pub fn authenticate(&self, token: &str, caller: &Caller) -> Result<DaemonId, RefusedToken> {
        let (id, node) = self.holder(token).ok_or(RefusedToken::Unknown)?;
        if from_node(caller, node.as_deref()) {
            return Ok(id);
        }
        let mut elsewhere = lock(&self.shared.elsewhere);
        let Elsewhere { count, caller: last } = elsewhere.entry(id).or_default();
        *count = count.saturating_add(1);
        *last = caller.describe();
        // Whoever holds a stolen token could fill the log: said ever more rarely.
        if count.is_power_of_two() {
            tracing::warn!(
                peer = %id, caller = %caller.describe(), refusals = *count,
                "the token of a peer came from another node and was refused; \
                 if that machine is not yours, pair again to replace the token"
            );
        }
        Err(RefusedToken::OtherNode)
    }

    /// How often a peer's token came from another node than its own, since this daemon started.
    pub fn refused_elsewhere(&self, id: DaemonId) -> u64 {
        lock(&self.shared.elsewhere).get(&id).map_or(0, |elsewhere| elsewhere.count)
    }

    /// From which node it came last.
    pub fn refused_caller(&self, id: DaemonId) -> Option<String> {
        lock(&self.shared.elsewhere).get(&id).map(|elsewhere| elsewhere.caller.clone())
    }

    /// Where a peer is dialled; None if there is no such peer or its address is a name.
    pub fn address_of(&self, id: DaemonId) -> Option<SocketAddr> {
        lock(&self.shared.contents).peers.get(&id)?.peer.address.parse().ok()
    }

    /// The same without counting or telling a caller that is another node.
    pub fn accepts(&self, token: &str, caller: &Caller) -> Option<DaemonId> {
        let (id, node) = self.holder(token)?;
        from_node(caller, node.as_deref()).then_some(id)
    }

    // Every peer is looked at, so that the time does not tell which one matched.
    fn holder(&self, token: &str) -> Option<(DaemonId, Option<String>)> {
        let mut found = None;
        for (id, entry) in &lock(&self.shared.contents).peers {
            if entry.peer.token.matches(token) {
                found = Some((*id, entry.peer.node.clone()));
            }
        }
        found
    }

    // Disk first, memory after it: what was answered is on disk, and a write that left the old file
    // changes nothing. All of it in one blocking task, so that a caller who goes away can't part the two.
    async fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut PeersFile) -> R + Send + 'static,
    ) -> Result<R, RegistryError> {
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let _one_at_a_time = lock(&shared.writing);
            let before = lock(&shared.contents).clone();
            let mut after = before.clone();
            let result = change(&mut after);
            if !after.same_as(&before) {
                let written = shared.file.write(&after);
                // What is in the file counts after the next start, so it counts now.
                if matches!(written, Ok(()) | Err(StateFileError::Unsynced { .. })) {
                    *lock(&shared.contents) = after;
                    shared.changes.send_modify(|count| *count = count.wrapping_add(1));
                }
                written.map_err(RegistryError::File)?;
            }
            Ok(result)
        };
        tokio::task::spawn_blocking(work).await.map_err(RegistryError::Interrupted)?
    }
}

// None is a node as well: the loopback kind has none, and a token that was given there is no good in
// a tailnet, where any node could have found it.
fn from_node(caller: &Caller, node: Option<&str>) -> bool {
    node == caller.node.as_ref().map(|node| node.stable_id.as_str())
}

/// Forgets every peer and token of a directory whose daemon is being made anew. Blocks.
pub(super) fn forget_all(state_dir: &Path) -> Result<(), RegistryError> {
    let file = StateFile::new(state_dir, FILE);
    let mut contents: PeersFile = match file.read() {
        Ok(None) => return Ok(()),
        Ok(Some(contents)) => contents,
        Err(StateFileError::Damaged { .. }) => {
            return file.set_aside().map(|_| ()).map_err(RegistryError::File);
        }
        Err(error) => return Err(RegistryError::File(error)),
    };
    contents.peers.clear();
    file.write(&contents).map_err(RegistryError::File)
}
