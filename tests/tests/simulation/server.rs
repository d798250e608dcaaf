//! What a daemon does when it is called, as `rpc` and `sync::serve` do it.

use thrum_api::peer::{NotifyParams, PullParams};
use thrum_api::{DaemonId, ErrorCode, LogPosition, RpcError};
use thrumd::peer::{Peer, RefusedToken};
use thrumd::sync::hub::Input;
use thrumd::sync::protocol::{receive, serve};

use crate::net::{Message, Reply, Request};
use crate::world::{World, ready};

impl World {
    pub fn serve(&mut self, node: usize, from: usize, message: Message) -> Reply {
        let caller = self.nodes[from].caller();
        if let Request::Pair(params) = message.request {
            let Some(life) = &self.nodes[node].life else { return Reply::ConnectionRefused };
            let paired = self.wait(async {
                let peer = Peer::requested(self.nodes[node].id, &caller, &params)?;
                let token = peer.token.clone();
                life.pairing.request(&caller, peer, &params.code.unwrap(), |_| Ok(None))?;
                Ok(token)
            });
            return paired.map_or_else(Reply::Refused, Reply::Paired);
        }
        let Some(peer) = self.authenticate(node, from, &message) else {
            self.marks.hit("a token was refused");
            return Reply::Refused(RpcError::new(ErrorCode::NOT_AUTHENTICATED, "no token"));
        };
        self.input(node, Input::RequestReceived(peer));
        match message.request {
            Request::Pull(params) => self.serve_pull(node, peer, params),
            Request::Notify(params) => self.take_notification(node, peer, *params),
            Request::PeerInfo | Request::Pair(_) => Reply::PeerInfo(self.nodes[node].id),
        }
    }

    fn authenticate(&mut self, node: usize, from: usize, message: &Message) -> Option<DaemonId> {
        let caller = self.nodes[from].caller();
        let token = message.token.as_ref()?.expose();
        match self.nodes[node].registry.authenticate(token, &caller) {
            Ok(peer) => Some(peer),
            Err(RefusedToken::OtherNode) => None,
            Err(RefusedToken::Unknown) => {
                let life = self.nodes[node].life.as_ref()?;
                let peer = self.wait(life.pairing.confirm(token, &caller))?;
                self.marks.hit("a pairing was stored");
                self.update_peers(node);
                Some(peer)
            }
        }
    }

    fn serve_pull(&mut self, node: usize, peer: DaemonId, params: PullParams) -> Reply {
        let log = &self.nodes[node].log;
        let is_as_long = log.holds(LogPosition { hash: None, ..params.after() });
        let (answer, input) = ready(serve(log, peer, params));
        match &answer {
            Ok(page) if self.nodes[node].old && !page.runs.is_empty() => {
                self.marks.hit("an older peer was pulled");
            }
            Err(error) if error.code == ErrorCode::OTHER_LOG => {
                self.marks.hit("a checkpoint was refused");
                if is_as_long {
                    self.marks.hit("only the hash showed that a checkpoint is of another log");
                }
            }
            _ => {}
        }
        self.look_for_damage(node);
        if let Some(input) = input {
            self.input(node, input);
        }
        match answer {
            Ok(mut page) => {
                if self.nodes[node].old {
                    (page.next_hash, page.held_seq, page.epoch) = (None, None, None);
                }
                Reply::Page(Box::new(page))
            }
            Err(error) => Reply::Refused(error),
        }
    }

    fn take_notification(&mut self, node: usize, peer: DaemonId, params: NotifyParams) -> Reply {
        let (runs, removed) = (params.runs.as_ref().map_or(0, Vec::len), params.removed);
        let log = &self.nodes[node].log;
        let before = log.store().checkpoint(peer).unwrap().position;
        let received = ready(receive(log, peer, params));
        let applied = received.applied;
        self.trace.note(self.now, node, &applied);
        let log = &self.nodes[node].log;
        let moved = log.store().checkpoint(peer).unwrap().position != before;
        let synced = matches!(received.input, Some(Input::Synced { .. }));
        for (happened, mark) in [
            (runs > 0 && applied.applied > 0, "a window was applied"),
            (runs > 0 && applied.applied > 0 && synced, "a window and the checkpoint in one"),
            (moved && synced && runs == 0, "a checkpoint moved without a pull"),
            (removed, "a peer was told of its removal"),
        ] {
            if happened {
                self.marks.hit(mark);
            }
        }
        // The driver hears of the log and of the notification in any order.
        let log_first = self.choices.percent(50);
        if log_first {
            self.count(node, peer, &applied);
        }
        if let Some(input) = received.input {
            self.input(node, input);
        }
        if !log_first {
            self.count(node, peer, &applied);
        }
        if let Ok(answer) = &received.answer {
            self.check_confirmed(node, peer, answer.held_seq);
        }
        received.answer.map_or_else(Reply::Refused, Reply::Notified)
    }
}
