//! Rollback detection: how a daemon learns that its log was restored from an older copy.

use thrum_api::{Head, Origin};

use super::ReplicaLog;
use crate::log::LogError;

/// Begins a new epoch if a peer's heads show that our log was rolled back.
pub(super) async fn check_heads(log: &impl ReplicaLog, heads: &[Head]) -> Result<(), LogError> {
    let own = Origin { daemon: log.daemon(), epoch: log.head().epoch };
    if let Some(head) = heads.iter().find(|head| head.origin() == own)
        && log.shows_rollback(*head).await?
    {
        tell(log.rolled_back(Some(*head)).await?);
    }
    Ok(())
}

/// Logs that a new epoch began, if one did.
pub(super) fn tell(began: bool) {
    if began {
        tracing::warn!(
            "a peer knows more of this log than we do: it was restored from an older copy; \
             a new epoch begins, and the peers send what is missing"
        );
    }
}
