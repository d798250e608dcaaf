//! How pulls and notifications ended, and what follows from it.

use thrum_api::{DaemonId, Place, Sequence};

use super::context::Context;
use super::failure::{Failure, FailureKind};
use super::link::{Link, earliest};
use super::messages::{Action, NotifyResult, PullReason};
use super::pull_pipeline::PullResult;

impl Link {
    pub(super) fn pull_ended(
        &mut self,
        me: DaemonId,
        end: &PullResult,
        context: &mut Context<'_>,
        out: &mut Vec<Action>,
    ) {
        match end {
            PullResult::Done { checkpoint, head } => {
                self.answered(me, out);
                self.pull_faults.clear();
                self.log_changed = false;
                self.last_failure = None;
                self.synced(*checkpoint, *head, context.now);
            }
            PullResult::OtherLog => {
                self.answered(me, out);
                if std::mem::replace(&mut self.log_changed, true) {
                    // Again, and nothing was pulled to its end since: not too often.
                    let text = "its log changed again before it was read to its end".to_owned();
                    self.pull_failed(me, &Failure::bad_answer(text), context, out);
                }
                self.taken = Some(Sequence::ZERO);
                self.their_head = None;
                // Whoever lost its log has lost its checkpoint for ours with it.
                (self.held, self.held_known) = (Place::START, false);
                self.said = Sequence::ZERO;
                let operation = context.operation();
                self.forgetting = Some(operation);
                out.push(Action::ResetCheckpoint { peer: me, operation });
            }
            PullResult::Failed(failure) => self.pull_failed(me, failure, context, out),
        }
    }

    fn pull_failed(
        &mut self,
        me: DaemonId,
        failure: &Failure,
        context: &mut Context<'_>,
        out: &mut Vec<Action>,
    ) {
        let draw = context.draw();
        self.last_failure = Some(failure.clone());
        match failure.kind {
            FailureKind::Unreachable => {
                self.line.record(context.now, &context.timing.backoff, draw);
            }
            FailureKind::TokenRefused => return self.refused_us(me, context, out),
            FailureKind::BadAnswer => {
                self.reached();
                self.pull_faults.record(context.now, &context.timing.backoff, draw);
            }
            FailureKind::Local => {
                self.pull_faults.record(context.now, &context.timing.local_backoff, draw);
            }
        }
        self.want_pull(context.now, PullReason::Retry);
    }

    pub(super) fn tell_ended(
        &mut self,
        me: DaemonId,
        end: &NotifyResult,
        context: &mut Context<'_>,
        out: &mut Vec<Action>,
    ) {
        let draw = context.draw();
        match end {
            NotifyResult::Answered { latest, confirmed } => {
                self.answered(me, out);
                self.tell_faults.clear();
                self.bare = false;
                self.tell_failure = None;
                self.told = latest.sequence;
                // What could wait went with it.
                self.tell_at = None;
                self.seen = *latest;
                self.held_known = true;
                // Beyond our end is no place of our log.
                self.said = if *confirmed <= latest.sequence { *confirmed } else { Sequence::ZERO };
                self.asked_at_the_end(context);
                if *confirmed == latest.sequence {
                    self.held = *latest;
                } else if *confirmed != self.held.sequence
                    && !(self.served_meanwhile && *confirmed < self.held.sequence)
                {
                    // We don't know the event there: no window from this place. Beyond our end
                    // is what a peer says whose checkpoint is of another log; its pull shows that.
                    let sequence = (*confirmed).min(latest.sequence);
                    self.held = Place { sequence, event_id: None };
                }
            }
            NotifyResult::Deferred { delay, examined } => {
                self.seen = *examined;
                self.tell_at = earliest(self.tell_at, context.now + *delay);
            }
            NotifyResult::Failed(failure) => {
                self.unlooked = true;
                match failure.kind {
                    FailureKind::Unreachable => {
                        self.bare = true;
                        self.last_failure = Some(failure.clone());
                        self.line.record(context.now, &context.timing.backoff, draw);
                        self.want_pull(context.now, PullReason::Retry);
                    }
                    FailureKind::TokenRefused => {
                        self.last_failure = Some(failure.clone());
                        self.refused_us(me, context, out);
                    }
                    FailureKind::BadAnswer | FailureKind::Local => {
                        let own = failure.kind == FailureKind::Local;
                        let timing = context.timing;
                        let backoff = if own { &timing.local_backoff } else { &timing.backoff };
                        self.tell_failure = Some(failure.clone());
                        self.tell_faults.record(context.now, backoff, draw);
                    }
                }
            }
        }
    }
}
