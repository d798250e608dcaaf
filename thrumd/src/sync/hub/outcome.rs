//! How pulls and notifications ended, and what follows from it.

use thrum_api::{DaemonId, Place, Sequence};

use super::link::{Link, earliest};
use super::{Action, Around, Failure, PullEnd, TellEnd, Trouble, Why};

impl Link {
    pub(super) fn pull_ended(
        &mut self,
        me: DaemonId,
        end: &PullEnd,
        around: &mut Around<'_>,
        out: &mut Vec<Action>,
    ) {
        match end {
            PullEnd::Done { taken, head } => {
                self.answered(me, out);
                self.pull_faults.clear();
                self.log_changed = false;
                self.last_failure = None;
                self.synced(*taken, *head, around.now);
            }
            PullEnd::OtherLog => {
                self.answered(me, out);
                if std::mem::replace(&mut self.log_changed, true) {
                    // Again, and nothing was pulled to its end since: not too often.
                    let text = "its log changed again before it was read to its end".to_owned();
                    self.pull_failed(me, &Failure::faulty(text), around, out);
                }
                self.taken = Some(Sequence::ZERO);
                self.their_head = None;
                // Whoever lost its log has lost its checkpoint for ours with it.
                (self.held, self.held_known) = (Place::START, false);
                self.said = Sequence::ZERO;
                let ticket = around.ticket();
                self.forgetting = Some(ticket);
                out.push(Action::ForgetCheckpoint { peer: me, ticket });
            }
            PullEnd::Failed(failure) => self.pull_failed(me, failure, around, out),
        }
    }

    fn pull_failed(
        &mut self,
        me: DaemonId,
        failure: &Failure,
        around: &mut Around<'_>,
        out: &mut Vec<Action>,
    ) {
        let draw = around.draw();
        self.last_failure = Some(failure.clone());
        match failure.trouble {
            Trouble::Line => self.line.fail(around.now, &around.rules.ladder, draw),
            Trouble::Refused => return self.refused_us(me, around, out),
            Trouble::Faulty => {
                self.reached();
                self.pull_faults.fail(around.now, &around.rules.ladder, draw);
            }
            Trouble::Ours => self.pull_faults.fail(around.now, &around.rules.own_ladder, draw),
        }
        self.want_pull(around.now, Why::Retry);
    }

    pub(super) fn tell_ended(
        &mut self,
        me: DaemonId,
        end: &TellEnd,
        around: &mut Around<'_>,
        out: &mut Vec<Action>,
    ) {
        let draw = around.draw();
        match end {
            TellEnd::Told { latest, held } => {
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
                self.said = if *held <= latest.sequence { *held } else { Sequence::ZERO };
                self.asked_at_the_end(around);
                if *held == latest.sequence {
                    self.held = *latest;
                } else if *held != self.held.sequence
                    && !(self.served_meanwhile && *held < self.held.sequence)
                {
                    // We don't know the event there: no window from this place. Beyond our end
                    // is what a peer says whose checkpoint is of another log; its pull shows that.
                    let sequence = (*held).min(latest.sequence);
                    self.held = Place { sequence, event_id: None };
                }
            }
            TellEnd::Later { delay, seen } => {
                self.seen = *seen;
                self.tell_at = earliest(self.tell_at, around.now.after(*delay));
            }
            TellEnd::Failed(failure) => {
                self.unlooked = true;
                match failure.trouble {
                    Trouble::Line => {
                        self.bare = true;
                        self.last_failure = Some(failure.clone());
                        self.line.fail(around.now, &around.rules.ladder, draw);
                        self.want_pull(around.now, Why::Retry);
                    }
                    Trouble::Refused => {
                        self.last_failure = Some(failure.clone());
                        self.refused_us(me, around, out);
                    }
                    Trouble::Faulty | Trouble::Ours => {
                        let own = failure.trouble == Trouble::Ours;
                        let rules = around.rules;
                        let ladder = if own { &rules.own_ladder } else { &rules.ladder };
                        self.tell_failure = Some(failure.clone());
                        self.tell_faults.fail(around.now, ladder, draw);
                    }
                }
            }
        }
    }
}
