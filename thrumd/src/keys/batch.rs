//! The verification of many signatures at once, which takes less than half the time.

use std::convert::Infallible;

use ed25519_zebra::batch::Verifier;
use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest as _, Sha256};
use thrum_api::proof::Signature;

use super::public::{may_be_valid_point, verify};

/// A message with its signature, to be verified.
#[derive(Debug, Clone, Copy)]
pub struct SignedMessage<'a> {
    /// The public key that is said to have signed.
    pub public: [u8; 32],
    /// The message.
    pub message: &'a [u8],
    /// The signature.
    pub signature: Signature,
}

impl SignedMessage<'_> {
    fn is_valid(&self) -> bool {
        verify(self.public, self.message, &self.signature).is_ok()
    }
}

/// The positions of the messages whose signatures are not valid, in ascending order: none if all are. The answer is the
/// same as that of [`verify`] for each of them.
pub fn bad_signatures(messages: &[SignedMessage<'_>]) -> Vec<usize> {
    if messages.len() > 1 && all_are_valid(messages) {
        return Vec::new();
    }
    (0..messages.len()).filter(|at| !messages[*at].is_valid()).collect()
}

/// Whether one batch says so. What it can't tell is not valid: then each one is verified alone.
pub(super) fn all_are_valid(messages: &[SignedMessage<'_>]) -> bool {
    let mut seed = [0; 32];
    if getrandom::fill(&mut seed).is_err() {
        return false;
    }
    let mut batch = Verifier::new();
    for SignedMessage { public, message, signature } in messages {
        let signature = ed25519_zebra::Signature::from(signature.0);
        if !may_be_valid_point(public) || !may_be_valid_point(signature.r_bytes()) {
            return false;
        }
        batch.queue(((*public).into(), signature, *message));
    }
    batch.verify(Coefficients { seed, taken: 0 }).is_ok()
}

/// The random coefficients of a batch, which nobody can foresee who made one of its signatures. They come from a seed,
/// because the library wants a random source that can't fail, and the operating system's can.
struct Coefficients {
    seed: [u8; 32],
    taken: u64,
}

impl TryRng for Coefficients {
    type Error = Infallible;

    fn try_fill_bytes(&mut self, wanted: &mut [u8]) -> Result<(), Infallible> {
        for part in wanted.chunks_mut(32) {
            let hash = Sha256::new().chain_update(self.seed).chain_update(self.taken.to_be_bytes());
            part.copy_from_slice(&hash.finalize()[..part.len()]);
            self.taken += 1;
        }
        Ok(())
    }

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl TryCryptoRng for Coefficients {}
