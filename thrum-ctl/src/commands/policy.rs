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
    let paired = counted(peers, "peer");
    if on {
        printer.line(&format!(
            "Pairing by the tailnet's policy is on: machines with the grant {capability} for this \
             machine need no code."
        ))?;
        if peers > 0 {
            printer.note(&format!("{paired} paired by policy."));
        }
        printer.note(
            "Such machines are peers as long as they have the grant, and can read and write \
             everything here. How to grant it: docs/tailscale.md",
        );
        return Ok(());
    }
    printer.line("Pairing by the tailnet's policy is off.")?;
    if peers > 0 {
        printer.note(&format!("{paired} paired by policy will be removed shortly."));
    }
    Ok(())
}
