//! The `private` kind: a tailscaled as our child, in userspace mode, for machines without one.
//!
//! The child needs no privilege and no /dev/net/tun. Connections to peers go out through its LocalAPI;
//! peers' connections arrive from 127.0.0.1, and `whois` identifies them while they live. Once it runs
//! it is followed like the machine's own.
//!
//! **It forwards connections from peers that the tailnet's policy lets in to 127.0.0.1, on every port.**
//! That is how userspace mode works. Only the policy can close the other ports. A warning appears at start,
//! in `status` and in `doctor` (see [`Private::problem`]).

mod child;
mod config;
mod error;
mod files;
mod kind;
mod supervise;
mod user;

#[cfg(test)]
mod tests;

pub use config::{PrivateConfig, environment};
pub use error::ChildError;
pub use files::move_node_state_aside;
pub use kind::Private;
