//! Client of the LocalAPI, the HTTP interface of tailscaled for programs on its machine.
//!
//! It covers only what Thrum asks. Every field of an answer may be missing or null and every enum is
//! open, because the interface has no version.

mod bus;
mod client;
mod endpoint;
mod error;
mod types;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

pub use bus::{BusUpdate, IpnBus};
pub use client::Client;
pub use endpoint::{DEFAULT_SOCKET, Endpoint};
pub use error::ApiError;
pub use types::{BackendState, NodePath, Status, StatusNode, Whois};
