//! Identity, peers and pairing.

mod find;
pub mod identity;
mod pairing;
mod peers_file;
mod pending;
mod policy;
mod record;
mod registry;
mod session;
#[cfg(test)]
mod tests;

pub use identity::{Identity, IdentityError};
pub use pairing::Pairing;
pub use pending::{PendingPairing, PendingPairings, Replaces};
pub use policy::{DEFAULT_CAPABILITY, PairingPolicy, wrong_capability};
pub use record::Peer;
pub use registry::{RefusedToken, Registry, RegistryError};
