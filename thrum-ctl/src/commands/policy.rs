use thrum_api::local::{PeerPolicy, PeerPolicyParams, PeerPolicyResult};

use crate::cli::{PolicyArgs, Switch};
use crate::context::Context;
use crate::error::Error;
use crate::format::counted;
use crate::terminal::sanitize;

/// `thrum peer policy`
pub async fn run(args: PolicyArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let on = args.switch.map(|switch| switch == Switch::On);
    let params = PeerPolicyParams { on, capability: args.capability };
    let now = context.daemon().await?.call::<PeerPolicy>(&params).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&now);
    }
    let PeerPolicyResult { on, capability, peers } = now;
    let capability = sanitize(&capability);
    let paired = counted(u64::try_from(peers).unwrap_or(u64::MAX), "peer");
    if on {
        printer.line(&format!(
            "Pairing by the tailnet's policy is on: who has the grant {capability} towards this \
             machine needs no code."
        ))?;
        if peers > 0 {
            printer.note(&format!("{paired} paired that way."));
        }
        printer.note(
            "Such machines are peers as long as they have the grant, and read and write everything \
             here. How to write it: docs/tailscale.md",
        );
        return Ok(());
    }
    printer.line("Pairing by the tailnet's policy is off.")?;
    if peers > 0 {
        printer.note(&format!("{paired} paired that way: removed in a moment."));
    }
    Ok(())
}
