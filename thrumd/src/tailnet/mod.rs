//! The tailnet: our addresses and name, and the identity of callers. Three kinds behind one type.

pub(crate) mod address;
mod error;
mod hints;
mod kinds;
pub(crate) mod localapi;
pub(crate) mod loopback;
pub(crate) mod macos;
pub(crate) mod private;
mod programs;
mod settings;
pub(crate) mod tailscaled;
pub(crate) mod tcp;
mod types;

#[cfg(test)]
mod tests;

pub(crate) use error::TailnetError;
pub(crate) use hints::Hint;
pub(crate) use kinds::Tailnet;
pub use settings::Settings;
pub use types::Caller;
pub(crate) use types::{Connection, Node, Presence, Target};
