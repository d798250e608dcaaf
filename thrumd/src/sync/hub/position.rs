//! The position of a peer in our log.

use thrum_api::{LogPosition, Sequence};

use super::context::Context;
use super::time::MonotonicTime;

#[derive(Debug)]
pub(super) struct PeerPosition {
    /// The peer was sent our log up to here, in pages or by notifications. None: unknown.
    sent: Option<LogPosition>,
    /// The peer confirmed our log up to here. It confirms only what is on its disk.
    confirmed: Sequence,
    /// The peer is reading our log page by page, and will pull the rest itself.
    reading_until: Option<MonotonicTime>,
}

impl PeerPosition {
    pub(super) fn unknown() -> Self {
        Self { sent: None, confirmed: Sequence::ZERO, reading_until: None }
    }

    /// Where the next notification begins; the start if unknown.
    pub(super) fn sent(&self) -> LogPosition {
        self.sent.unwrap_or(LogPosition::START)
    }

    /// Whether a notification can carry events after that position: a peer of which we don't know what it has
    /// may be pulling the same events at this moment.
    pub(super) fn is_certain(&self) -> bool {
        self.sent.is_some_and(|sent| sent == LogPosition::START || sent.hash.is_some())
    }

    pub(super) fn confirmed(&self) -> Sequence {
        self.confirmed
    }

    pub(super) fn reading_until(&self) -> Option<MonotonicTime> {
        self.reading_until
    }

    /// Up to where the peer was sent our log, if that is known.
    pub(super) fn known_sent(&self) -> Option<Sequence> {
        self.sent.map(|sent| sent.sequence)
    }

    /// How many events of our log the peer lacks.
    pub(super) fn lacking(&self, head: Sequence) -> Option<u64> {
        // An empty log lacks nothing anywhere.
        let known = self.sent.is_some() || head == Sequence::ZERO;
        known.then(|| head.0.saturating_sub(self.sent().sequence.0))
    }

    pub(super) fn page_served(&mut self, next: LogPosition, more: bool, context: &Context<'_>) {
        self.sent = Some(next);
        // A peer that reads confirmed events again has lost them.
        self.confirmed = self.confirmed.min(next.sequence);
        self.reading_until = more.then(|| context.now + context.timing.reading_timeout);
    }

    /// Records the peer's answer to a notification of our log up to `latest`. `page_served`: a page was
    /// served meanwhile, so the answer may be older than that.
    pub(super) fn answered(&mut self, latest: LogPosition, confirmed: Sequence, page_served: bool) {
        // A position beyond our end is not of our log: the peer's checkpoint is of another log.
        let valid = confirmed <= latest.sequence;
        self.confirmed = if valid { confirmed } else { Sequence::ZERO };
        let sent = self.sent();
        let outdated = page_served && confirmed < sent.sequence;
        self.sent = Some(if confirmed == latest.sequence {
            latest
        } else if confirmed == sent.sequence || outdated {
            sent
        } else {
            // The event there is unknown.
            LogPosition { sequence: confirmed.min(latest.sequence), ..LogPosition::START }
        });
    }

    /// The peer has lost its log, and with it what it had of ours.
    pub(super) fn forget(&mut self) {
        (self.sent, self.confirmed) = (None, Sequence::ZERO);
    }

    /// The peer will not pull the rest of our log.
    pub(super) fn stopped_reading(&mut self) {
        self.reading_until = None;
    }
}
