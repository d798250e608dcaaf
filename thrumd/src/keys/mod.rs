//! Ed25519 keys and signatures, with one strict rule of validity.
//!
//! Every daemon must give the same answer for the same signature: what one takes over, the next one has to take over, too.
//! RFC 8032 leaves some answers open, so the rule is written down here. A signature (R, S) of a message by a public key A
//! is valid if
//!
//! 1. A and R are canonical encodings of points on the curve, neither of them of small order;
//! 2. S is below the group's order L;
//! 3. `[8][S]B = [8]R + [8][k]A`, with k = SHA-512(R, A, message) mod L.
//!
//! The equation with the factor 8 is the one that a batch can check: without it, batch and single verification can
//! disagree. A key of small order would have signatures that are valid for every message. R of small order is refused so
//! that both points are checked in the same way. Nobody loses anything by that: such a signature gives away the secret
//! key, so no signer makes one.

mod batch;
mod public;
mod secret;
#[cfg(test)]
mod tests;

pub use batch::{SignedMessage, bad_signatures};
pub use public::{BadSignature, InvalidPublicKey, PublicKey, verify};
pub use secret::SecretKey;
