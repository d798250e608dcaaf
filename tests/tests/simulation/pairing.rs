//! Pairing and removing, as the joining side (`sync::join`) does it.

use thrum_api::{ErrorCode, Token};
use thrumd::peer::pair_request;
use thrumd::sync::hub::Input;
use thrumd::sync::protocol::removal_notice;

use crate::net::{Message, Reply, Request};
use crate::node::Asked;
use crate::world::{Internal, World, millis, seconds};

impl World {
    pub fn is_joining(&self, node: usize) -> bool {
        self.nodes[node].life.as_ref().is_some_and(|life| life.joining)
    }

    /// The hub hears who its peers are, as after each change of the registry.
    pub fn update_peers(&mut self, node: usize) {
        let Some(life) = &mut self.nodes[node].life else { return };
        let states = life.tokens.update(&life.pairings.settled());
        let ids: Vec<_> = self.nodes.iter().map(|node| node.id).collect();
        if let Some(life) = &mut self.nodes[node].life {
            life.rereads.retain(|peer, _| states.contains_key(&ids[*peer]));
        }
        self.input(node, Input::Peers(states));
    }

    /// A person removes a peer.
    pub fn remove(&mut self, node: usize, peer: usize) {
        let id = self.nodes[peer].id;
        let Some(removed) = self.nodes[node].registry.get(id) else { return };
        self.wait(self.nodes[node].registry.remove(id)).unwrap();
        self.marks.hit("a peer was removed");
        self.update_peers(node);
        let Some(life) = &self.nodes[node].life else { return };
        life.pairings.forget_replaced(id);
        // What a full disk refuses a person tries again.
        drop(self.nodes[node].log.store().reset_checkpoint(id));
        let latest = self.nodes[node].log.store().head().position;
        let params = removal_notice(self.nodes[node].id, latest, None);
        let request = Request::Notify(Box::new(params));
        let message = Message { token: Some(removed.token), request };
        self.call(node, peer, Asked::Goodbye, message, seconds(2));
    }

    /// A person opens a session at `peer` and joins it from `node`.
    pub fn join(&mut self, node: usize, peer: usize) {
        if !self.is_up(node) || !self.is_up(peer) || self.is_joining(node) {
            return;
        }
        let Some(accepting) = &self.nodes[peer].life else { return };
        let opened = self.wait(async {
            if let Some(session) = accepting.session {
                // Over already, or given up.
                drop(accepting.pairing.cancel(session));
            }
            accepting.pairing.open("here".to_owned())
        });
        let Ok(opened) = opened else { return };
        if let Some(life) = &mut self.nodes[peer].life {
            life.session = Some(opened.session);
        }
        if let Some(life) = &mut self.nodes[node].life {
            life.joining = true;
        }
        let names = (format!("node-{node}"), self.nodes[node].address().to_string());
        let (key, host) = (self.nodes[node].log.key(), self.nodes[peer].id);
        let dialled = self.nodes[peer].address().to_string();
        let params = pair_request(key, host, Some(opened.code), names, dialled);
        let message = Message { token: None, request: Request::Pair(params) };
        self.call(node, peer, Asked::Pair, message, seconds(10));
    }

    pub fn pair_answered(&mut self, node: usize, peer: usize, reply: Option<Reply>) {
        let Some(Reply::Paired(token)) = reply else {
            return self.end_join(node, peer);
        };
        let Some(life) = &self.nodes[node].life else { return };
        life.pairings.begin_join(self.nodes[peer].id);
        let entry = self.nodes[peer].as_peer(token.clone(), true);
        let renewed = self.wait(life.pairings.store(entry)).unwrap();
        if renewed {
            self.marks.hit("a peer was paired again");
        }
        self.update_peers(node);
        self.confirm(node, peer, token, 0);
    }

    fn confirm(&mut self, node: usize, peer: usize, token: Token, tries: u32) {
        let message = Message { token: Some(token.clone()), request: Request::PeerInfo };
        self.call(node, peer, Asked::Confirm(token, tries), message, seconds(10));
    }

    pub fn confirm_answered(
        &mut self,
        node: usize,
        peer: usize,
        token: Token,
        tries: u32,
        reply: Option<Reply>,
    ) {
        let Some(life) = &self.nodes[node].life else { return };
        let id = self.nodes[peer].id;
        match reply {
            Some(Reply::PeerInfo(found)) if found == id => {
                self.wait(life.pairings.confirm(id, token));
            }
            Some(Reply::Refused(error)) if error.code == ErrorCode::NOT_AUTHENTICATED => {
                self.wait(life.pairings.undo(id, token));
                self.marks.hit("a join was undone");
            }
            _ if tries < 2 => {
                let again = Internal::Confirm { peer, token, tries: tries + 1 };
                return self.plan_in(node, millis(200), again);
            }
            // It may have arrived: the next contact decides.
            _ => self.marks.hit("a join was left open"),
        }
        self.end_join(node, peer);
    }

    fn end_join(&mut self, node: usize, peer: usize) {
        let id = self.nodes[peer].id;
        if let Some(life) = &mut self.nodes[node].life {
            life.pairings.end_join(id);
            life.joining = false;
        }
        self.update_peers(node);
    }

    pub fn pairing_goes_on(&mut self, node: usize, what: Internal) {
        let ends_join =
            matches!(&what, Internal::ConfirmPairing { .. } | Internal::DropPairing { .. });
        if ends_join && self.is_joining(node) {
            // It waits for its turn.
            return self.plan_in(node, millis(10), what);
        }
        let Some(life) = &self.nodes[node].life else { return };
        let pairings = &life.pairings;
        match what {
            Internal::MarkRemoved { peer, token, removed } => {
                self.wait(pairings.mark_removed(self.nodes[peer].id, token, removed));
            }
            Internal::ConfirmPairing { peer, token } => {
                self.wait(pairings.confirm(self.nodes[peer].id, token));
                self.marks.hit("a pairing was confirmed by a later contact");
            }
            Internal::DropPairing { peer, token } => {
                self.wait(pairings.undo(self.nodes[peer].id, token));
                self.marks.hit("a pairing was dropped by a later contact");
            }
            Internal::Confirm { peer, token, tries } => {
                return self.confirm(node, peer, token, tries);
            }
            _ => unreachable!("not of a pairing"),
        }
        self.update_peers(node);
    }
}
