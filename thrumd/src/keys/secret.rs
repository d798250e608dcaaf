//! Secret keys: generating, keeping and signing.

use ed25519_zebra::{SigningKey, VerificationKeyBytes};
use thrum_api::DaemonId;
use thrum_api::proof::Signature;
use zeroize::{Zeroize as _, Zeroizing};

use crate::ids::{NoRandomness, fill_random};

/// A secret Ed25519 key. It is overwritten in memory when it is dropped, and never printed.
// In a box, so that moving the key leaves no copies behind.
pub struct SecretKey(Box<SigningKey>);

impl SecretKey {
    /// Generates a key from the operating system's random source.
    ///
    /// # Errors
    /// When the operating system has no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut seed = Zeroizing::new([0; 32]);
        fill_random(seed.as_mut())?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of this seed, which RFC 8032 calls the private key.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Box::new(SigningKey::from_bytes(seed)))
    }

    /// The seed, for the key file.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.0.as_bytes())
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        VerificationKeyBytes::from(&*self.0).into()
    }

    /// The id of the daemon that has this key.
    pub fn id(&self) -> DaemonId {
        DaemonId::from_bytes(self.public())
    }

    /// Signs a message. The same message always gets the same signature.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(hidden)")
    }
}
