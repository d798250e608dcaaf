//! Lookup of a peer by a typed name or id.

use std::collections::BTreeMap;

use thrum_api::{DaemonId, label, names, similar_names};

use super::{Peer, Registry, RegistryError};

impl Registry {
    /// The peer with this name (in any case), daemon id or label. The id may be abbreviated to its beginning or as it
    /// is shown.
    ///
    /// # Errors
    /// When no peer or several peers have it; lists similar or ambiguous names.
    pub fn find(&self, typed: &str) -> Result<Peer, RegistryError> {
        self.find_as(typed, |_| Vec::new())
    }

    /// As [`Self::find`], where peers have other names that come before their own.
    ///
    /// # Errors
    /// As `find`.
    pub fn find_as(
        &self,
        typed: &str,
        names: impl Fn(&Peer) -> Vec<String>,
    ) -> Result<Peer, RegistryError> {
        let peers = self.all();
        let asked = label::id_in(typed.trim()).unwrap_or(typed.trim());
        // What is no name may still be an id.
        let wanted = names::daemon(asked).unwrap_or_else(|_| asked.to_owned());
        let wanted = wanted.to_lowercase();
        let id = |peer: &Peer| peer.daemon_id.to_string().to_lowercase();
        if let Some(peer) = peers.iter().find(|peer| id(peer) == wanted) {
            return Ok(peer.clone());
        }
        // An id comes before a name, because a peer can call itself as it likes.
        let shortened = wanted.strip_prefix("d_").filter(|rest| !rest.is_empty()).is_some();
        let short = |peer: &Peer| label::short_id(peer.daemon_id).to_lowercase();
        let is_id = |peer: &&Peer| short(peer) == wanted || id(peer).starts_with(&wanted);
        let with_id: Vec<&Peer> = peers.iter().filter(|peer| shortened && is_id(peer)).collect();
        match with_id[..] {
            [] => {}
            [peer] => return Ok(peer.clone()),
            _ => return Err(ambiguous(typed, &with_id)),
        }
        let is_called = |peer: &&Peer| names(peer).iter().any(|it| it.to_lowercase() == wanted);
        let mut named: Vec<&Peer> = peers.iter().filter(is_called).collect();
        if named.is_empty() {
            named = peers.iter().filter(|peer| peer.name.to_lowercase() == wanted).collect();
        }
        match named[..] {
            [peer] => Ok(peer.clone()),
            [] => {
                let name = |peer: &Peer| {
                    let name = names(peer).into_iter().next();
                    let name = name.unwrap_or_else(|| peer.name.clone());
                    label::to_type(&name, peer.daemon_id)
                };
                let shown: Vec<String> = peers.iter().map(name).collect();
                let (near, alike) = suggestions(&shown, &wanted);
                Err(RegistryError::Unknown { typed: typed.to_owned(), near, alike })
            }
            _ => Err(ambiguous(typed, &named)),
        }
    }

    /// The label of a peer among all peers and this daemon, which is `own`. `shown` is the name under which a
    /// peer is shown.
    pub fn label(
        &self,
        peer: &Peer,
        own: (DaemonId, &str),
        shown: impl Fn(&Peer) -> String,
    ) -> String {
        let own = (own.0, own.1.to_owned());
        self.read(|contents| {
            let others = contents.peers.values().map(|entry| &entry.peer);
            let others = others.filter(|other| other.daemon_id != peer.daemon_id);
            let others = others.map(|other| (other.daemon_id, shown(other)));
            label::label(&shown(peer), peer.daemon_id, others.chain([own]))
        })
    }

    /// The labels of all peers, as [`Self::label`].
    pub fn labels(
        &self,
        own: (DaemonId, &str),
        shown: impl Fn(&Peer) -> String,
    ) -> BTreeMap<DaemonId, String> {
        let mut machines: Vec<_> = self.read(|contents| {
            let peers = contents.peers.values().map(|entry| &entry.peer);
            peers.map(|peer| (peer.daemon_id, shown(peer))).collect()
        });
        machines.push((own.0, own.1.to_owned()));
        let labels = label::labels(&machines);
        machines.into_iter().map(|(id, _)| id).zip(labels).collect()
    }
}

fn ambiguous(typed: &str, peers: &[&Peer]) -> RegistryError {
    let one = |peer: &&Peer| format!("{} at {}", peer.daemon_id, peer.address);
    RegistryError::Ambiguous { typed: typed.to_owned(), ids: peers.iter().map(one).collect() }
}

/// Similar names, else all of them; and whether they are similar.
fn suggestions(called: &[String], wanted: &str) -> (Vec<String>, bool) {
    const SHOWN: usize = 8;
    let mut names: Vec<String> = similar_names(wanted, called.iter().map(String::as_str))
        .into_iter()
        .map(str::to_owned)
        .collect();
    let alike = !names.is_empty();
    if !alike {
        names = called.to_vec();
        names.sort();
    }
    names.truncate(SHOWN);
    (names, alike)
}
