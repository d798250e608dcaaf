//! The `tailscaled` kind: the machine's own tailscaled, through its LocalAPI.
//!
//! A task follows its changes and keeps the last network map, so that names and addresses are found
//! without asking. Only the caller of a connection is asked for each time, because that decides who
//! is served.

mod follow;
mod kind;
mod netmap;
mod resolve;
mod shared;
mod state;

#[cfg(test)]
mod tests;

pub use kind::Tailscaled;
pub use netmap::{NetMap, NetMapEntry};
pub use shared::TailscaledConfig;
pub use state::{Instance, State};
