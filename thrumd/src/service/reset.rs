//! `thrumd --reset-identity`: for a state directory that was copied from another machine.

use super::{ServiceError, owner};
use crate::config::Config;
use crate::log::Lock;
use crate::peer::{Identity, identity};
use crate::tailnet::private;

/// Gives this state directory a new identity: new daemon id, no peers, and another node of the
/// tailnet if it has a private tailscaled. The log stays. Returns the text to print.
///
/// # Errors
/// When there is no daemon or it is running, and when a file can't be written.
pub fn reset_identity(config: &Config) -> Result<String, ServiceError> {
    owner::enter(&config.state_dir)?;
    if !identity::is_kept_in(&config.state_dir) {
        return Err(ServiceError::NoDaemon { path: config.state_dir.clone() });
    }
    let _lock = Lock::take(&config.state_dir)?;
    // Before the identity: a crash between the two leaves a copy that still refuses to sync.
    let node = private::move_node_state_aside(&config.tailscale_state_dir)?;
    let identity = Identity::reset(&config.state_dir, &config.machine_id_file)?;
    let daemon = identity.daemon_id;
    let mut text = format!(
        "This is now daemon {daemon}. Its events are kept; pair it again: thrum peer add\n"
    );
    if let Some(aside) = node {
        text.push_str(&format!(
            "Its own tailscaled will be a new machine of the tailnet, and needs an auth key or a \
             login. The old one's identity was moved to {}\n",
            aside.display()
        ));
    }
    Ok(text)
}
