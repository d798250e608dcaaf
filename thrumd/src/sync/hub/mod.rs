//! Decides when to pull from a peer, when to notify it and when to leave it alone.
//!
//! Plain state machines: an input and the time go in, actions come out, and `next_wake` says when to call
//! again without an input. No I/O, no clock, no randomness except the seed and no hash order, so that the
//! simulation runs the same code as the driver.

mod context;
mod coordinator;
mod failure;
mod link;
mod messages;
mod notify;
mod position;
mod pull;
mod reachability;
mod schedule;
mod snapshot;
#[cfg(test)]
pub(super) mod tests;
mod time;
mod timing;

pub use coordinator::Hub;
pub use failure::{Failure, FailureKind};
pub use messages::{
    Action, Input, NotifyRequest, NotifyResult, OperationId, PairingState, PullReason, PullResult,
};
pub use snapshot::{DrainState, LinkSnapshot};
pub use time::MonotonicTime;
pub use timing::Timing;
