//! `thrumd --reset-identity`: for a state directory that was copied from another machine.

use super::ServiceError;
use crate::config::Config;
use crate::log::Lock;
use crate::peer::Identity;

/// Makes another daemon of this state directory: new id, no peers, the log stays. Only while no
/// daemon runs on it. Answers what to tell the person.
///
/// # Errors
/// When a daemon runs on it, and when a file can't be written.
pub fn reset_identity(config: &Config) -> Result<String, ServiceError> {
    let _held = Lock::take(&config.state_dir)?;
    let identity = Identity::reset(&config.state_dir, &config.machine_id_file)?;
    Ok(format!(
        "This is now daemon {}. Its events are kept; pair it again: thrum peer add\n",
        identity.daemon_id
    ))
}
