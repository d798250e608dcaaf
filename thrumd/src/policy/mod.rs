//! Pairing by the tailnet's policy: a grant with an application capability replaces the code.
//!
//! Two persons allow it: one writes the grant in the tailnet's policy, the other runs
//! `thrum peer policy on` here. What a caller has been granted is read from our own tailscaled and
//! never taken from its request. A machine that was paired this way stays a peer as long as it has
//! the grant: [`Policy::admits`] checks when it calls, [`Policy::monitor`] when the tailnet changes
//! and every hour.

mod grants;
mod monitor;
mod request;
#[cfg(test)]
mod tests;

pub use grants::Policy;
