use thrum_api::duration::{ago, ago_or_never, rounded};
use thrum_api::label;
use thrum_api::local::{
    PeerFind, PeerFindParams, PeerList, PeerPath, PeerPathParams, PeerRemove, PeerRemoveParams,
    PeerStatus, PeerSync, PeerSyncParams, Status,
};
use thrum_api::method::Empty;

use crate::cli::{PeerStatusArgs, RemoveArgs, SyncArgs};
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::format::{more_machines, short_id};
use crate::render;
use crate::render::table::Table;
use crate::terminal::{is_interactive, read_line, sanitize};

/// `thrum peer list`
pub async fn list(context: &mut Context<'_>) -> Result<(), Error> {
    let list = context.daemon().await?.call::<PeerList>(&Empty {}).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&list);
    }
    if printer.quiet() {
        let names = list.peers.iter().map(|peer| label::to_type(&peer.name, peer.daemon_id));
        return names.into_iter().try_for_each(|name| printer.line(&name));
    }
    let now = clock::now();
    if list.peers.is_empty() {
        printer.note("No peers yet. To pair, run here: thrum peer add");
    } else {
        let mut table = Table::new(&["PEER", "ADDRESS", "PAIRED", "LAST SYNC", "DAEMON"]);
        for peer in &list.peers {
            table.row(vec![
                peer.name.clone(),
                peer.address.clone(),
                match peer.by_policy {
                    Some(_) => format!("{} by policy", ago(peer.paired_at, now)),
                    None => ago(peer.paired_at, now),
                },
                ago_or_never(peer.last_sync, now),
                short_id(&peer.daemon_id.to_string()),
            ]);
        }
        printer.lines(&table.lines())?;
    }
    if let Some(open) = &list.pairing {
        printer.note(&format!(
            "A pairing session is open for {} more; wrong codes of {} end it.",
            rounded(open.expires_at.millis_since(now)),
            more_machines(open.attempts_left)
        ));
    }
    Ok(())
}

/// `thrum peer status`
pub async fn status(args: &PeerStatusArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let mut client = context.daemon().await?;
    let mut peers = client.call::<Status>(&Empty {}).await?.peers;
    let mut path = None;
    if let Some(wanted) = &args.peer {
        let found = client.call::<PeerPath>(&PeerPathParams { peer: wanted.clone() }).await?;
        peers.retain(|peer| peer.daemon_id == found.daemon_id);
        path = found.path;
    }
    let printer = &mut *context.printer;
    if printer.json() {
        let mut object = serde_json::json!({ "peers": peers });
        if let Some(path) = path {
            object["path"] = serde_json::json!(path);
        }
        return printer.object(&object);
    }
    if peers.is_empty() {
        printer.note("No peers yet. To pair, run here: thrum peer add");
        return Ok(());
    }
    let now = clock::now();
    if args.peer.is_none() {
        printer.lines(&render::peers::table(&peers, now))?;
    }
    if args.peer.is_some() || printer.verbose() {
        for (index, peer) in peers.iter().enumerate() {
            if index > 0 || args.peer.is_none() {
                printer.line("")?;
            }
            printer.lines(&render::peers::details(peer, path.as_ref(), now))?;
        }
        return Ok(());
    }
    // The table has no column for errors.
    let failed: Vec<&PeerStatus> = peers.iter().filter(|peer| peer.last_error.is_some()).collect();
    if !failed.is_empty() {
        printer.line("")?;
    }
    for peer in failed {
        let error = peer.last_error.as_deref().unwrap_or_default();
        let next = peer.next_try_at.map_or_else(String::new, |next| {
            format!(", next try in {}", rounded(next.millis_since(now)))
        });
        printer.line(&format!("{}: {}{next}", sanitize(&peer.name), sanitize(error)))?;
    }
    Ok(())
}

/// `thrum peer remove`
pub async fn remove(args: &RemoveArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let mut client = context.daemon().await?;
    let peer = client.call::<PeerFind>(&PeerFindParams { peer: args.peer.clone() }).await?;
    let who = format!("{:?} ({}, {})", peer.name, peer.address, peer.daemon_id);
    let printer = &mut *context.printer;
    if args.confirm.dry_run {
        if printer.json() {
            return printer.object(&serde_json::json!({ "would_remove": peer }));
        }
        return printer.line(&format!("Would remove {}. Nothing was changed.", sanitize(&who)));
    }
    if !args.confirm.yes {
        let question =
            format!("Remove {}? Synced events are kept, but syncing stops. [y/N] ", sanitize(&who));
        confirm(&question, printer).await?;
    }
    let params = PeerRemoveParams { peer: peer.daemon_id.to_string() };
    let removed = client.call::<PeerRemove>(&params).await?;
    if !removed.told {
        printer.note(&format!(
            "{} could not be notified; it will notice when its token is refused.",
            sanitize(&removed.name)
        ));
    }
    printer.done(&removed, &format!("Removed {:?}.", removed.name))
}

/// Asks for confirmation on a terminal. "No" is an error, because the command then does nothing.
pub async fn confirm(question: &str, printer: &mut crate::printer::Printer) -> Result<(), Error> {
    if !is_interactive() || printer.json() {
        return Err(Error::usage(
            "this needs confirmation, but there is no terminal; nothing was changed",
            "add --yes, or see with --dry-run what would change",
        ));
    }
    printer.ask(question);
    let answer = read_line().await?.unwrap_or_default();
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::failed("not confirmed; nothing was changed", "answer y, or add --yes"))
}

/// `thrum peer sync`
pub async fn sync(args: SyncArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let mut client = context.daemon().await?;
    client.call::<PeerSync>(&PeerSyncParams { peer: args.peer }).await?;
    context.printer.done(&Empty {}, "Syncing now. To see the state: thrum peer status")
}
