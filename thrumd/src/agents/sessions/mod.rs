//! The live sessions of this machine's agents: what keeps each alive, and what others are told.
//!
//! Alive is what this daemon knows: a process that it watches, or an open connection; never a heartbeat. `book` decides
//! what is told and when; `writer` carries it out; `calls` answers programs.

pub(super) mod book;
pub(super) mod brake;
mod callers;
pub(super) mod calls;
pub(super) mod change;
mod connection;
mod entry;
pub(super) mod error;
pub(super) mod hooks;
mod joining;
pub(super) mod kept;
mod limits;
pub(super) mod live;
pub(super) mod process;
pub(super) mod restart;
mod room;
pub(super) mod shared;
#[cfg(test)]
mod tests;
pub(super) mod texts;
mod turn;
pub(super) mod waits;
mod wake_off;
pub(super) mod waking;
pub(super) mod writer;

pub use self::connection::LocalConnection;
pub use self::room::SessionRoom;
pub use self::wake_off::WakeOff;
