use std::time::Duration;

use crate::backoff::ExponentialBackoff;
use crate::config::Cadence;

/// 1 s to 5 min, a quarter of it random: see docs/protocol.md.
const BACKOFF: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(300), 25);

/// At most 30 s, because nothing notifies us when a full disk has space again.
const LOCAL_BACKOFF: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(30), 25);

/// All intervals and delays of the hub.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// The periodic pull.
    pub cadence: Cadence,
    /// After failures of the peer.
    pub backoff: ExponentialBackoff,
    /// After failures of our own log.
    pub local_backoff: ExponentialBackoff,
    /// News that we only relay may wait this long for more.
    pub relay_delay: Duration,
    /// News that all came from the peer itself may wait this long.
    pub echo_delay: Duration,
    /// How long the creators of events get to notify us themselves of what another peer announced.
    pub triangle_wait: Duration,
    /// A peer's notifications cause one pull in each such interval.
    pub notified_interval: Duration,
    /// So many of these pulls may be made at once.
    pub notified_burst: u32,
    /// How often a peer that refuses our token is tried.
    pub refused_retry: Duration,
    /// How often a request of a peer that can't be reached ends its back-off.
    pub heard_pause: Duration,
    /// A peer that answers, and whose connections are closed all the same, is probed this often without a pause.
    pub probes_at_once: u32,
    /// The first pause after that. It doubles up to the interval of the periodic pull.
    pub probe_pause: Duration,
    /// A peer that stops in the middle of reading our log is notified again after this.
    pub reading_timeout: Duration,
    /// Before exit, how often a peer that still reads our log is asked what it holds.
    pub drain_interval: Duration,
}

impl Timing {
    /// The numbers of docs/protocol.md, with this cadence.
    pub fn new(cadence: Cadence) -> Self {
        Self {
            cadence,
            backoff: BACKOFF,
            local_backoff: LOCAL_BACKOFF,
            relay_delay: Duration::from_millis(50),
            echo_delay: Duration::from_secs(1),
            triangle_wait: Duration::from_millis(250),
            notified_interval: Duration::from_millis(500),
            notified_burst: 20,
            refused_retry: Duration::from_secs(300),
            heard_pause: Duration::from_secs(5),
            probes_at_once: 3,
            probe_pause: Duration::from_secs(60),
            reading_timeout: Duration::from_secs(30),
            drain_interval: Duration::from_millis(50),
        }
    }

    /// The pause before the next probe, after this many that brought nothing.
    pub fn probe_pause(&self, probes: u32) -> Duration {
        let Some(doublings) = probes.checked_sub(self.probes_at_once) else {
            return Duration::ZERO;
        };
        self.probe_pause.saturating_mul(1 << doublings.min(31)).min(self.cadence.interval)
    }

    /// How long news may wait for more. `own`: some of it was created here. `concerns_peer`: not all of
    /// it came from the peer.
    pub fn notify_delay(&self, own: bool, concerns_peer: bool) -> Duration {
        match (own, concerns_peer) {
            (true, _) => Duration::ZERO,
            (false, true) => self.relay_delay,
            (false, false) => self.echo_delay,
        }
    }
}
