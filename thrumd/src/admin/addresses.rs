//! Addresses as people type and read them: with names of machines, where events have ids of daemons.

use thrum_api::limits::NAME_MAX_CHARS;
use thrum_api::local::{Agent, Message};
use thrum_api::{Address, DaemonId, ErrorCode, RpcError, label, similar_names};

use super::AdminContext;
use crate::peer::RegistryError;
use crate::report::brief;

/// An address as it stands in events, of one that a person typed. One without a machine stays as it is.
pub(super) fn resolve(context: &AdminContext, typed: &str) -> Result<String, RpcError> {
    // The `@` of a name is no machine's.
    let name_start = usize::from(typed.starts_with('@'));
    let rest = typed.get(name_start..).unwrap_or_default();
    match rest.split_once('@') {
        Some((name, machine)) => Ok(format!("{name}@{}", daemon(context, machine)?)),
        None => Ok(typed.to_owned()),
    }
}

/// As [`resolve`], for recipients: nobody reads any more what is for a former id of a machine, so its successor gets it.
pub(super) fn resolve_recipients(
    context: &AdminContext,
    typed: &mut [String],
) -> Result<(), RpcError> {
    let former = context.registry.former();
    for address in typed {
        *address = resolve(context, address)?;
        let Some((name, daemon)) = address.split_once('@').filter(|(name, _)| !name.is_empty())
        else {
            continue;
        };
        let successor = daemon.parse().ok().and_then(|daemon: DaemonId| former.get(&daemon));
        if let Some(successor) = successor {
            *address = format!("{name}@{successor}");
        }
    }
    Ok(())
}

/// As [`resolve`], for members that leave a group: what is shown as a machine's may be of a former id of it.
pub(super) fn resolve_leavers(
    context: &AdminContext,
    typed: &[String],
) -> Result<Vec<String>, RpcError> {
    let former = context.registry.former();
    let mut members = Vec::new();
    for address in typed {
        let address = resolve(context, address)?;
        if let Some((name, daemon)) = address.split_once('@') {
            let of_it = former.iter().filter(|(_, now)| now.to_string() == daemon);
            members.extend(of_it.map(|(before, _)| format!("{name}@{before}")));
        }
        members.push(address);
    }
    Ok(members)
}

/// The daemon that a person means with a name or an id: this one, a peer, or one that has told its name.
fn daemon(context: &AdminContext, typed: &str) -> Result<DaemonId, RpcError> {
    let typed = typed.trim();
    if let Ok(daemon) = typed.parse() {
        return Ok(daemon);
    }
    // A label has an id behind the name.
    if typed.chars().count() > 2 * NAME_MAX_CHARS {
        let message = format!("no machine is called {}", brief(typed));
        return Err(RpcError::new(ErrorCode::NOT_FOUND, message));
    }
    let asked = label::id_in(typed).unwrap_or(typed);
    let is_called = |name: &str, id: DaemonId| {
        name.to_lowercase() == asked.to_lowercase() || label::short_id(id) == asked
    };
    if is_called(&context.name, context.daemon) {
        return Ok(context.daemon);
    }
    match context.find_peer(typed) {
        Ok(peer) => return Ok(peer.daemon_id),
        Err(RegistryError::Unknown { .. }) => {}
        Err(other) => return Err(super::errors::registry(other)),
    }
    let told = context.agents.told_names();
    let found: Vec<DaemonId> =
        told.iter().filter(|(id, name)| is_called(name, *id)).map(|(id, _)| *id).collect();
    match found[..] {
        [daemon] => Ok(daemon),
        [] => {
            let peers = context.registry.all();
            let names = peers.iter().map(|peer| peer.name.as_str());
            let names = names.chain([&*context.name]).chain(told.iter().map(|(_, name)| &**name));
            let similar = similar_names(typed, names);
            let error =
                RpcError::new(ErrorCode::NOT_FOUND, format!("no machine is called {typed:?}"))
                    .with("similar", similar.clone());
            Err(match similar.is_empty() {
                true => error.hint("machines and their agents: thrum team"),
                false => error.hint(format!("did you mean {}?", similar.join(", "))),
            })
        }
        _ => {
            let ids: Vec<String> = found.iter().map(ToString::to_string).collect();
            let message =
                format!("{} machines are called {typed:?}: {}", ids.len(), ids.join(", "));
            Err(RpcError::new(ErrorCode::NOT_FOUND, message).hint("use the id of one of them"))
        }
    }
}

/// An address as a person would type it.
pub(super) fn shown(context: &AdminContext, address: &str) -> String {
    match address.parse() {
        Ok(Address::Agent { name, daemon: Some(daemon) }) => match context.machine(daemon) {
            Some(machine) => format!("{name}@{}", label::to_type(&machine, daemon)),
            None => address.to_owned(),
        },
        _ => address.to_owned(),
    }
}

/// Adds the names of machines to a message.
pub(super) fn name_machines(context: &AdminContext, message: &mut Message) {
    message.machine = context.machine(message.origin_daemon);
    for address in &mut message.to {
        *address = shown(context, address);
    }
}

/// Adds the name of its machine to an agent.
pub(super) fn name_machine(context: &AdminContext, agent: &mut Agent) {
    agent.machine = context.machine(agent.daemon_id);
}
