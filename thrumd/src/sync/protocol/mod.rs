//! The protocol's decisions apart from the schedule (`hub`): how a request is answered, what a notification
//! contains, how a pull ends. The only I/O is the log that is passed in, so that the simulation runs the
//! same code as the daemon.

pub mod drain;
mod notify;
mod pull;
mod receive;
mod replica;
mod reread;
mod serve;

pub use notify::{notification, removal_notice};
pub use pull::{PageHeader, Pull, Step, request, split};
pub use receive::{Received, receive};
pub use replica::ReplicaLog;
pub use reread::Rereads;
pub use serve::serve;
