//! What a hostile machine says beside its runs: of where its log ends, what it holds and what others hold.

use thrum_api::peer::{Notified, NotifyParams, PullPage, PullParams};
use thrum_api::{Epoch, ErrorCode, Head, LogHash, Origin, OriginSequence, RpcError, Sequence};

use crate::act::{ANSWERS, Act, NOTIFICATIONS, PAGES, PULLS};
use crate::hostile::{Hostile, Scene};
use crate::net::Reply;

impl Hostile {
    pub fn twist_page(&mut self, mut page: PullPage, scene: &Scene<'_>) -> Option<Reply> {
        for act in self.draw(PAGES) {
            self.did(act);
            match act {
                Act::FalseMore => page.more_available = !page.more_available,
                Act::FalseNext => {
                    page.next_seq = self.position(page.next_seq);
                    page.next_hash = self.hash(page.next_hash);
                }
                Act::FalseHead => page.head_seq = self.position(page.head_seq),
                Act::FalseHeldOfPage => {
                    page.held_seq = Some(self.position(page.held_seq.unwrap_or_default()));
                }
                Act::FalseEpoch => page.epoch = Some(Epoch::from_ulid(scene.ids.draw())),
                Act::FalsePositions => {
                    for event in page.runs.iter_mut().flat_map(|run| &mut run.events) {
                        event.sequence = self.position(event.sequence);
                    }
                }
                Act::StalePage => page = self.pages[self.choices.index(self.pages.len())].clone(),
                Act::PageRefused => return Some(self.error()),
                Act::PageWithheld => return None,
                _ => {}
            }
        }
        Some(Reply::Page(Box::new(page)))
    }

    pub fn twist_answer(&mut self, mut answer: Notified) -> Option<Reply> {
        for act in self.draw(ANSWERS) {
            self.did(act);
            match act {
                Act::FalseConfirmation => {
                    answer.held_seq = self.position(answer.held_seq);
                    answer.known = self.choices.of(&[0, 1, u64::MAX]);
                }
                Act::NotificationRefused => return Some(self.error()),
                Act::AnswerWithheld => return None,
                _ => {}
            }
        }
        Some(Reply::Notified(answer))
    }

    pub fn twist_notification(
        &mut self,
        mut params: NotifyParams,
        scene: &Scene<'_>,
    ) -> NotifyParams {
        for act in self.draw(NOTIFICATIONS) {
            self.did(act);
            match act {
                Act::FalseLatest => {
                    params.latest_seq = self.position(params.latest_seq);
                    params.latest_hash = self.hash(params.latest_hash);
                }
                Act::FalseAfter if self.choices.percent(50) => {
                    params.after_seq = Some(scene.checkpoint.sequence);
                    params.after_hash = scene.checkpoint.hash;
                }
                Act::FalseAfter => {
                    params.after_seq = Some(self.position(params.after_seq.unwrap_or_default()));
                    params.after_hash = self.hash(params.after_hash);
                }
                Act::FalseHeads => params.heads = Some(self.false_heads(scene)),
                Act::NoHeads => params.heads = None,
                Act::FalseHeldOfNotification => {
                    params.held_seq = Some(self.position(params.held_seq.unwrap_or_default()));
                }
                Act::AnotherSender => params.daemon_id = self.choices.of(&scene.honest),
                Act::Removal => params.removed = self.choices.percent(20),
                Act::StaleNotification => {
                    let kept = &self.notifications;
                    params = kept[self.choices.index(kept.len())].clone();
                }
                _ => {}
            }
        }
        params
    }

    pub fn twist_pull(&mut self, mut params: PullParams, scene: &Scene<'_>) -> PullParams {
        for act in self.draw(PULLS) {
            self.did(act);
            match act {
                Act::ForeignPosition => {
                    params.after_seq = self.position(params.after_seq);
                    params.after_hash = self.hash(params.after_hash);
                }
                Act::FalseHave => params.have = Some(self.false_heads(scene)),
                Act::AnotherLimit => params.limit = self.choices.of(&[None, Some(0), Some(1)]),
                _ => {}
            }
        }
        params
    }

    /// Heads of all origins that it knows and of some that are none, each true or not.
    fn false_heads(&mut self, scene: &Scene<'_>) -> Vec<Head> {
        let mut heads = scene.log.store().heads(Sequence::ZERO).unwrap_or_default();
        let invented = scene.honest.iter().map(|daemon| {
            let of = Origin { daemon: *daemon, epoch: Epoch::from_ulid(scene.ids.draw()) };
            Head {
                origin_daemon: of.daemon,
                origin_epoch: of.epoch,
                origin_sequence: OriginSequence(1),
                chain: thrumd::proof::chain_start(&of),
            }
        });
        heads.extend(invented);
        heads.retain(|_| self.choices.percent(70));
        for head in &mut heads {
            match self.choices.up_to(2) {
                0 => {}
                1 => head.chain = self.chain(),
                _ => {
                    let Sequence(place) = self.position(Sequence(head.origin_sequence.0));
                    head.origin_sequence = OriginSequence(place);
                }
            }
        }
        heads
    }

    /// A position near this one, at the start, or at the end of all positions.
    fn position(&mut self, near: Sequence) -> Sequence {
        Sequence(match self.choices.up_to(6) {
            0 => near.0,
            1 => near.0.saturating_add(1),
            2 => near.0.saturating_sub(1),
            3 => 0,
            4 => near.0.saturating_add(self.choices.up_to(1000)),
            5 => (1 << 53) - 1,
            _ => u64::MAX,
        })
    }

    /// This hash, none, or one of nothing.
    fn hash(&mut self, true_hash: Option<LogHash>) -> Option<LogHash> {
        match self.choices.up_to(2) {
            0 => true_hash,
            1 => None,
            _ => Some(LogHash(self.choices.up_to(u64::MAX))),
        }
    }

    fn error(&mut self) -> Reply {
        let codes = [ErrorCode::OTHER_LOG, ErrorCode::NOT_AUTHENTICATED, ErrorCode::INTERNAL];
        Reply::Refused(RpcError::new(self.choices.of(&codes), "refused"))
    }
}
