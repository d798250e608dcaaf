//! Lookup of a peer by a typed name or id.

use thrum_api::similar_names;

use super::{Peer, Registry, RegistryError};

impl Registry {
    /// The peer with this name (in any case) or daemon id.
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
        let wanted = typed.trim().to_lowercase();
        let is_id = |peer: &&Peer| peer.daemon_id.to_string().to_lowercase() == wanted;
        if let Some(peer) = peers.iter().find(is_id) {
            return Ok(peer.clone());
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
                    names(peer).into_iter().next().unwrap_or_else(|| peer.name.clone())
                };
                let shown: Vec<String> = peers.iter().map(name).collect();
                let (near, alike) = suggestions(&shown, &wanted);
                Err(RegistryError::Unknown { typed: typed.to_owned(), near, alike })
            }
            _ => Err(RegistryError::Ambiguous {
                typed: typed.to_owned(),
                ids: named.iter().map(|peer| peer.daemon_id.to_string()).collect(),
            }),
        }
    }
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
