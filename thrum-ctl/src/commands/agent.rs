//! `thrum agent`

use thrum_api::local::{AgentRegister, AgentRegisterParams, AgentRemove, AgentRemoveParams};

use crate::cli::RegisterArgs;
use crate::context::{Context, agent_name};
use crate::error::Error;
use crate::terminal::sanitize;

/// `thrum agent register`
pub async fn register(args: RegisterArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let agent = match &args.name {
        Some(name) => agent_name(name)?,
        None => context.agent()?,
    };
    let params = AgentRegisterParams { agent, project: context.project()?, about: args.about };
    let result = context.daemon().await?.call_again::<AgentRegister>(&params).await?;
    let (name, printer) = (&params.agent, &mut *context.printer);
    if !result.also_on.is_empty() {
        printer.note(&format!(
            "There is a {name} on {}, too: a message to {name} goes to each, one to {name}@MACHINE to one.",
            sanitize(&result.also_on.join(", "))
        ));
    }
    let text = format!("Registered {name} in {}.", sanitize(&params.project));
    printer.done(&result, &text)
}

/// `thrum agent remove`
pub async fn remove(name: &str, context: &mut Context<'_>) -> Result<(), Error> {
    let params = AgentRemoveParams { agent: agent_name(name)?, project: context.project()? };
    let result = context.daemon().await?.call_again::<AgentRemove>(&params).await?;
    let (name, project) = (&params.agent, sanitize(&params.project));
    let text = format!("Removed {name} from {project}, until it does something again.");
    context.printer.done(&result, &text)
}
