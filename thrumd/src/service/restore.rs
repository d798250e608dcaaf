//! `thrumd --plan-restore FILE` and `--restore FILE`: a backup in the place of a state directory's files.

use std::path::Path;

use super::{ServiceError, state_dir};
use crate::backup;
use crate::config::Config;

/// Says what restoring this backup would do, as JSON. Changes nothing.
///
/// # Errors
/// When the daemon runs, and when the backup can't be restored.
pub fn plan_restore(config: &Config, file: &Path) -> Result<String, ServiceError> {
    state_dir::check_links(&config.state_dir).map_err(ServiceError::Unsafe)?;
    let plan = backup::plan(&config.state_dir, &config.machine_id_file, file)?;
    serde_json::to_string(&plan).map_err(|error| ServiceError::Backup(Box::new(error.into())))
}

/// Restores this backup and says what was done, as JSON.
///
/// # Errors
/// When the daemon runs, when the backup can't be restored, or when the disk fails.
pub fn restore(config: &Config, file: &Path) -> Result<String, ServiceError> {
    state_dir::check_links(&config.state_dir).map_err(ServiceError::Unsafe)?;
    let done = backup::restore(&config.state_dir, &config.machine_id_file, file)?;
    serde_json::to_string(&done).map_err(|error| ServiceError::Backup(Box::new(error.into())))
}
