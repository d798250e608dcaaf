//! New ids and secrets: the one place that generates them.

use thrum_api::limits::TOKEN_BYTES;
use thrum_api::{Epoch, EventId, PairingCode, Token};
use ulid::Ulid;

#[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
fn ulid() -> Ulid {
    Ulid::generate()
}

/// A new event's id.
pub fn event() -> EventId {
    EventId::from_ulid(ulid())
}

/// A new id of a session.
pub fn session() -> String {
    ulid().to_string()
}

/// The epoch of a log that begins now.
pub fn epoch() -> Epoch {
    Epoch::from_ulid(ulid())
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness(#[source] getrandom::Error);

/// Fills a buffer from the operating system's random source.
///
/// # Errors
/// When the operating system has no random bytes.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(NoRandomness)
}

/// A new token: 32 bytes of the operating system's random source.
///
/// # Errors
/// When the operating system has no random bytes.
pub fn token() -> Result<Token, NoRandomness> {
    let mut bytes = [0; TOKEN_BYTES];
    fill_random(&mut bytes)?;
    Ok(Token::from_bytes(&bytes))
}

/// A new pairing code: four digits, each of the 10,000 equally likely.
///
/// # Errors
/// When the operating system has no random bytes.
pub fn code() -> Result<PairingCode, NoRandomness> {
    const CODES: u16 = 10_000;
    // The largest multiple of 10,000 below 2^16: numbers above it are drawn again, because low codes
    // would be more likely otherwise (modulo bias).
    const FAIR: u16 = u16::MAX / CODES * CODES;
    loop {
        let mut bytes = [0; 2];
        fill_random(&mut bytes)?;
        let drawn = u16::from_le_bytes(bytes);
        if drawn < FAIR
            && let Ok(code) = format!("{:04}", drawn % CODES).parse()
        {
            return Ok(code);
        }
    }
}
