//! What daemons decide when they exchange events, apart from the schedule (`hub`): how a request is
//! answered, what a notification says, how a pull ends. No I/O but the log that is handed in, so that
//! the simulation drives the same code as the daemon.

pub mod drain;
mod mismatch;
mod notify;
mod pull;
mod receive;
mod replica;
mod rollback;
mod serve;

pub use mismatch::CheckpointMismatch;
pub use notify::{NotifyRequest, NotifyStep, confirmed_by, next_step};
pub use pull::{Pull, request, split};
pub use receive::{Received, receive};
pub use replica::ReplicaLog;
pub use serve::serve;
