//! The machines that a person paired with this one, and how they get paired.

mod find;
pub mod identity;
mod pairing;
mod peers_file;
mod policy;
mod registry;
mod session;
mod statefile;
#[cfg(test)]
mod tests;

pub use identity::{Identity, IdentityError};
pub use pairing::{Pairing, PairingGuard, joining_port};
pub use policy::{DEFAULT_CAPABILITY, PairingPolicy, wrong_capability};
pub use registry::{Peer, RefusedToken, Registry, RegistryError};
pub use session::calling_peer;
pub use statefile::{StateFile, StateFileError};
