//! The tailnet: our addresses and name, and the identity of callers. Three kinds behind one type.

pub mod address;
mod error;
mod kinds;
pub mod localapi;
pub mod loopback;
pub mod macos;
pub mod private;
mod programs;
mod settings;
pub mod tailscaled;
mod types;

#[cfg(test)]
mod tests;

pub use error::TailnetError;
pub use kinds::Tailnet;
pub use localapi::{NodePath, Via};
pub use settings::Settings;
pub use types::{Caller, Connection, Node, Presence, Stream, Target};
