//! A real tailnet, offline, on one machine: headscale with its relay, and a tailscaled for each
//! node in a network namespace of its own.
//!
//! A test runs itself again inside [`sealed`] namespaces. There is no way out of them, every
//! stray address is unreachable there, and all that was started ends with the test, however it ends.
//! Several run side by side, each with the same addresses.

mod cluster;
mod control;
mod faults;
mod net;
mod node;
mod private;
mod program;
mod programs;
mod sealed;
mod spec;

pub use cluster::{Cluster, pair_over};
pub use control::Control;
pub use net::Tailnet;
pub use node::{Node, NodeStatus};
pub use private::{Disguise, child_of};
pub use programs::Programs;
pub use sealed::{hide_resolv_conf, inside, run_again_sealed, sealed};
pub use spec::NodeSpec;

/// The limit for what the tailnet does. Mostly it takes less than a second, but WireGuard's timers
/// show through: 5 s are usual after a login, 15 s were seen.
pub const TAILNET_LIMIT: std::time::Duration = std::time::Duration::from_secs(45);
