//! Public keys and the verification of one signature.

use ed25519_zebra::VerificationKey;
use thrum_api::proof::Signature;

/// The signature is not one of this message by this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not one of this message by this key")]
pub struct BadSignature;

/// The bytes are not an Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the 32 bytes are not an Ed25519 public key")]
pub struct InvalidPublicKey;

/// A public key, decoded: worth keeping where the same key verifies many signatures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerificationKey);

impl PublicKey {
    /// Decodes a public key.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a point on the curve, or the point is of small order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, InvalidPublicKey> {
        if !may_be_valid_point(&bytes) {
            return Err(InvalidPublicKey);
        }
        VerificationKey::try_from(bytes).map(Self).map_err(|_| InvalidPublicKey)
    }

    /// The encoded key.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.into()
    }

    /// Verifies one signature.
    ///
    /// # Errors
    /// When the signature is not valid.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let signature = ed25519_zebra::Signature::from(signature.0);
        if !may_be_valid_point(signature.r_bytes()) {
            return Err(BadSignature);
        }
        self.0.verify(&signature, message).map_err(|_| BadSignature)
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PublicKey(")?;
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// Verifies one signature by an encoded key.
///
/// # Errors
/// When the key or the signature is not valid.
pub fn verify(public: [u8; 32], message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    PublicKey::from_bytes(public).map_err(|_| BadSignature)?.verify(message, signature)
}

/// The y coordinates of the eight points of small order.
const SMALL_ORDER: [[u8; 32]; 5] = [
    // 1: the neutral element.
    *b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    // -1: order 2.
    *b"\xec\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
       \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    // 0: order 4, two points.
    [0; 32],
    // Order 8, two points each.
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\
       \xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\
       \x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
];

/// Whether the bytes are canonical and not of small order, if they encode a point at all. That they do, the verification
/// itself finds out.
pub(super) fn may_be_valid_point(encoded: &[u8; 32]) -> bool {
    // The highest bit is the sign of x. Leaving it out also covers the points with x = 0, which have y = 1 or y = -1:
    // they must not have the sign, and are of small order without it.
    let mut y = *encoded;
    y[31] &= 0x7f;
    // y is below p = 2^255 - 19, whose bytes are ed, ff ... ff, 7f.
    let below_p = y[31] != 0x7f || y[1..31].iter().any(|byte| *byte != 0xff) || y[0] < 0xed;
    below_p && !SMALL_ORDER.contains(&y)
}
