use thrum_api::DaemonId;
use thrumd::keys::SecretKey;

/// A new key of a daemon.
///
/// # Panics
/// When the system has no random bytes.
pub fn key() -> SecretKey {
    SecretKey::generate().unwrap()
}

/// The id of a daemon whose key nobody needs.
///
/// # Panics
/// As [`key`].
pub fn daemon_id() -> DaemonId {
    key().id()
}
