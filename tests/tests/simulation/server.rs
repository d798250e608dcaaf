//! What a daemon does when it is called, as `rpc` and `sync::serve` do it.

use thrum_api::{EventId, Head, Place};
use thrumd::sync::hub::{Decision, Input, Notification, decide, head_of_origin};

use crate::log::Served;
use crate::net::{Reply, Request};
use crate::world::World;

impl World {
    /// The server side, as `rpc` and `sync::serve` do it.
    pub fn serve(&mut self, node: usize, from: usize, request: Request) -> Reply {
        let peer = self.nodes[from].id;
        self.input(node, Input::RequestReceived(peer));
        match request {
            Request::Pull { after, have } => {
                self.learn_of_rollback(node, &have);
                let page = self.nodes[node].log.page(after, &have);
                let (next, more) =
                    page.as_ref().map_or((Place::START, true), |page| (page.next, page.more));
                if page.is_none() {
                    self.marks.hit("a checkpoint was refused");
                    if self.nodes[node].log.rolled_back(&mut self.ids) {
                        self.marks.hit("an epoch began by a checkpoint");
                    }
                }
                self.input(node, Input::PageServed { peer, next, more });
                page.map_or(Reply::OtherLog, Reply::Page)
            }
            Request::Notify { latest, after, window, heads } => {
                self.take(node, from, (latest, after, window, heads))
            }
        }
    }

    pub fn learn_of_rollback(&mut self, node: usize, heads: &[Head]) {
        let log = &mut self.nodes[node].log;
        let shown = head_of_origin(log.own_origin(), heads);
        if shown.is_some_and(|head| !log.missing(&[head]).is_empty())
            && log.rolled_back(&mut self.ids)
        {
            self.marks.hit("an epoch began by a head");
        }
    }

    pub fn take(
        &mut self,
        node: usize,
        from: usize,
        notification: (Place, Option<Place>, Vec<Served>, Option<Vec<Head>>),
    ) -> Reply {
        let (latest, after, mut window, heads) = notification;
        let peer = self.nodes[from].id;
        self.learn_of_rollback(node, heads.as_deref().unwrap_or_default());
        loop {
            let log = &self.nodes[node].log;
            let (checkpoint, _) = log.checkpoint(peer);
            let missing = heads.as_ref().map(|heads| log.missing(heads));
            let ids: Vec<EventId> = window.iter().map(|(_, event)| event.id).collect();
            let notification =
                Notification { latest, after, window: &ids, heads: heads.as_deref() };
            let decision = decide(checkpoint, &notification, missing.as_deref());
            self.trace.note(self.now, node, &decision);
            let (held, input) = match decision {
                Decision::Apply { checkpoint } => {
                    self.marks.hit("a window was applied");
                    self.apply(node, from, &std::mem::take(&mut window), checkpoint, None);
                    if checkpoint.is_none() {
                        continue;
                    }
                    self.marks.hit("a window and the checkpoint in one");
                    (latest.sequence, Input::Synced { peer, latest: latest.sequence })
                }
                Decision::AdvanceCheckpoint(place) => {
                    self.marks.hit("a checkpoint moved without a pull");
                    self.apply(node, from, &[], Some(place), None);
                    (latest.sequence, Input::Synced { peer, latest: latest.sequence })
                }
                Decision::UpToDate => {
                    (latest.sequence, Input::Synced { peer, latest: latest.sequence })
                }
                Decision::Pull { creators } => {
                    let latest = latest.sequence;
                    (checkpoint.sequence, Input::PullNeeded { peer, latest, creators })
                }
            };
            self.input(node, input);
            return Reply::Held(held);
        }
    }
}
