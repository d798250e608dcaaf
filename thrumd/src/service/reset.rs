//! `thrumd --reset-identity`: for a state directory that was copied from another machine.

use super::{ServiceError, owner};
use crate::config::Config;
use crate::log::{self, Lock};
use crate::peer::{Identity, identity};
use crate::report::Chain;
use crate::tailnet::private;

/// Gives this state directory a new identity: new key and daemon id, no peers, and another node of the
/// tailnet if it has a private tailscaled. The log stays. Returns the text to print.
///
/// # Errors
/// When there is no daemon or it is running, and when a file can't be written.
pub fn reset_identity(config: &Config) -> Result<String, ServiceError> {
    owner::enter(&config.state_dir)?;
    if !identity::is_kept_in(&config.state_dir) {
        return Err(ServiceError::NoDaemon { path: config.state_dir.clone() });
    }
    let lock = Lock::take(&config.state_dir)?;
    // With the key that goes, what it has written is proved for good. Without it, the machines that have these events prove
    // them.
    let unsigned = match Identity::key_in(&config.state_dir) {
        Some(key) => {
            log::seal(&lock, &config.state_dir, key).err().map(|error| Chain(&error).to_string())
        }
        None => Some("its key is not there any more".to_owned()),
    };
    // Before the identity: a crash between the two leaves a copy that still refuses to sync.
    let node = private::move_node_state_aside(&config.tailscale_state_dir)?;
    let identity = Identity::reset(&config.state_dir, &config.machine_id_file)?;
    let daemon = identity.daemon_id;
    let mut text = format!(
        "This is now daemon {daemon}. Its events are kept; pair it again: thrum peer add\n"
    );
    if let Some(error) = unsigned {
        text.push_str(&format!(
            "What it has written could not be signed once more ({error}): only machines that have these events can \
             pass them on\n"
        ));
    }
    if let Some(aside) = node {
        text.push_str(&format!(
            "Its own tailscaled will be a new machine of the tailnet, and needs an auth key or a \
             login. The old one's identity was moved to {}\n",
            aside.display()
        ));
    }
    Ok(text)
}
