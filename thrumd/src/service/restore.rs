//! `thrumd --plan-restore FILE` and `--restore FILE`: a backup in the place of a state directory's files.

use std::path::Path;

use thrum_api::local::RestorePlan;

use super::{ServiceError, owner};
use crate::backup::{BackupFile, Restore};
use crate::config::Config;

/// Says what restoring this backup would do, as JSON. Changes nothing.
///
/// # Errors
/// When the daemon runs, and when the backup can't be restored.
pub fn plan_restore(config: &Config, file: &Path) -> Result<String, ServiceError> {
    json(prepare(config, file)?.plan())
}

/// Restores this backup and says what was done, as JSON.
///
/// # Errors
/// When the daemon runs, when the backup can't be restored, or when the disk fails.
pub fn restore(config: &Config, file: &Path) -> Result<String, ServiceError> {
    json(&prepare(config, file)?.run()?)
}

fn prepare<'a>(config: &'a Config, file: &Path) -> Result<Restore<'a>, ServiceError> {
    // The owner of the directory may not be allowed to read it.
    let backup = BackupFile::open(file)?;
    owner::enter(&config.state_dir)?;
    Ok(Restore::prepare(&config.state_dir, &config.machine_id_file, backup)?)
}

fn json(plan: &RestorePlan) -> Result<String, ServiceError> {
    serde_json::to_string(plan).map_err(|error| ServiceError::Backup(Box::new(error.into())))
}
