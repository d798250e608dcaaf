//! Instruments of the peer API.

use super::counters::{Counters, label};
use super::requests::RequestMetrics;

label! {
    /// Why a connection or a request from the tailnet was refused.
    Refusal {
        /// The tailnet does not say who it is.
        NotIdentified = "not_identified",
        /// A request without a token.
        NoToken = "no_token",
        /// A token that is not known.
        UnknownToken = "unknown_token",
        /// The token of a peer, from another machine.
        TokenElsewhere = "token_elsewhere",
        /// The tailnet's policy no longer allows it.
        GrantWithdrawn = "grant_withdrawn",
        /// A pairing code while no session is open.
        NoSession = "no_session",
        /// A wrong pairing code.
        WrongCode = "wrong_code",
        /// A pairing code too soon after a wrong one.
        CodeWait = "code_wait",
        /// The pairing session is locked.
        Locked = "locked",
        /// The pairing session has expired.
        Expired = "expired",
        /// The daemon id of another machine.
        IdTaken = "id_taken",
        /// It does not prove its daemon id.
        NotProved = "not_proved",
        /// The tailnet can't be asked now.
        TailnetDown = "tailnet_down",
        /// More requests at once than a peer may have.
        TooManyRequests = "too_many_requests",
        /// A body over the limit.
        TooLarge = "too_large",
        /// Not a request of the protocol.
        Invalid = "invalid",
    }
}

/// Instruments of the peer API.
#[derive(Debug)]
pub struct PeerApiMetrics {
    /// Answered requests.
    pub requests: RequestMetrics,
    /// What was refused.
    pub refusals: Counters<Refusal>,
}

impl Default for PeerApiMetrics {
    fn default() -> Self {
        let requests = RequestMetrics::new(thrum_api::peer::ALL, &[]);
        Self { requests, refusals: Counters::default() }
    }
}
