//! Groups of agents.

use thrum_api::RpcError;
use thrum_api::local::{Group, GroupChangeParams, GroupListParams, GroupListResult};

use super::addresses::{resolve_leavers, resolve_recipients, shown};
use super::{AdminContext, errors};

/// `group.change`
pub async fn change(
    context: &AdminContext,
    mut params: GroupChangeParams,
) -> Result<Group, RpcError> {
    resolve_recipients(context, &mut params.add)?;
    params.remove = resolve_leavers(context, &params.remove)?;
    let group = context.agents.change_group(params).await.map_err(errors::agents)?;
    Ok(with_machines(context, group))
}

/// `group.list`
pub async fn list(
    context: &AdminContext,
    params: GroupListParams,
) -> Result<GroupListResult, RpcError> {
    let groups = context.agents.groups(params).await.map_err(errors::agents)?;
    Ok(GroupListResult {
        groups: groups.into_iter().map(|group| with_machines(context, group)).collect(),
    })
}

fn with_machines(context: &AdminContext, mut group: Group) -> Group {
    for member in &mut group.members {
        *member = shown(context, member);
    }
    group.members.sort();
    group
}
