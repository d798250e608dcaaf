//! Identity, peers and pairing.

mod find;
pub(crate) mod identity;
mod pairing;
mod peers_file;
mod pending;
mod policy;
mod record;
mod registry;
mod session;
mod succession;
#[cfg(test)]
mod tests;
mod wrong_codes;

pub(crate) use identity::{Identity, IdentityError};
pub use pairing::Pairing;
pub(crate) use pending::{PendingPairing, PendingPairings, Replaces};
pub(crate) use policy::{PairingPolicy, wrong_capability};
pub use record::Peer;
pub(crate) use registry::RegistryError;
pub use registry::{RefusedToken, Registry};
pub(crate) use succession::tailnet_down;
