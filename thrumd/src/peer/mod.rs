//! Identity, peers and pairing.

mod find;
pub(crate) mod identity;
mod identity_error;
mod key_file;
mod pairing;
mod peers_file;
mod pending;
mod policy;
mod proof;
mod record;
mod registry;
mod session;
mod succession;
#[cfg(test)]
mod tests;
mod wrong_codes;

pub(crate) use identity::Identity;
pub(crate) use identity_error::{IdentityError, KeyFault};
pub use pairing::Pairing;
pub(crate) use pending::{PendingPairing, PendingPairings, Replaces};
pub(crate) use policy::{PairingPolicy, wrong_capability};
pub use proof::{PairingProof, pair_request};
pub(crate) use proof::{is_ours, may_be_ours};
pub use record::Peer;
pub(crate) use registry::RegistryError;
pub use registry::{RefusedToken, Registry};
pub(crate) use succession::tailnet_down;
