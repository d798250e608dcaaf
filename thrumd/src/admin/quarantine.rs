//! `quarantine.list` and `quarantine.clear`.

use thrum_api::RpcError;
use thrum_api::local::{QuarantineClearParams, QuarantineClearResult, QuarantineListResult};

use super::{AdminContext, errors};

/// `quarantine.list`
pub async fn list(context: &AdminContext) -> Result<QuarantineListResult, RpcError> {
    let mut list = context.log.quarantined().await.map_err(errors::log)?;
    for entry in &mut list.entries {
        entry.machine = context.machine(entry.daemon_id);
    }
    Ok(list)
}

/// `quarantine.clear`
pub async fn clear(
    context: &AdminContext,
    params: QuarantineClearParams,
) -> Result<QuarantineClearResult, RpcError> {
    let cleared = context.log.clear_quarantine(params.through).await.map_err(errors::log)?;
    context.quarantine_cleared.send_modify(|count| *count += 1);
    tracing::info!("a local program cleared {cleared} events from the quarantine");
    Ok(QuarantineClearResult { cleared })
}
