use thrum_api::local::{AgentList, AgentListParams, AgentListResult};

use super::watching::Watch;
use crate::cli::TeamArgs;
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::interrupt::or_interrupted;
use crate::printer::{Printer, while_read};
use crate::render::team;
use crate::terminal::sanitize;

/// Indent of rows that a narrow terminal wraps.
const INDENT: &str = "    ";

/// `thrum team`
pub async fn run(args: &TeamArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let project = if args.all_projects { None } else { Some(context.project()?) };
    let params = AgentListParams { project, all: args.all };
    if args.watch {
        return or_interrupted(while_read(watch(args, params, context))).await;
    }
    let list = sorted(&params, context).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&list);
    }
    if printer.quiet() {
        return names(&list, printer);
    }
    if list.agents.is_empty() {
        printer.note(&nobody(args, &params));
        return Ok(());
    }
    let mut lines = team::lines(&list.agents, clock::now(), printer.columns(), args.all_projects);
    let purposes = if printer.verbose() { team::purposes(&list.agents) } else { Vec::new() };
    if !purposes.is_empty() {
        lines.push(String::new());
        lines.extend(purposes);
    }
    printer.pages(&lines, INDENT)
}

async fn watch(
    args: &TeamArgs,
    params: AgentListParams,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let mut watch = Watch::new(params.project.clone());
    loop {
        let list = sorted(&params, context).await;
        let columns = context.printer.columns();
        let lines = |list: &AgentListResult| match list.agents.is_empty() {
            true => vec![nobody(args, &params)],
            false => team::lines(&list.agents, clock::now(), columns, args.all_projects),
        };
        watch.show(list, lines, INDENT, context.printer)?;
        watch.changed(context).await;
    }
}

async fn sorted(params: &AgentListParams, context: &Context<'_>) -> Result<AgentListResult, Error> {
    let mut list = context.daemon().await?.call::<AgentList>(params).await?;
    team::sort(&mut list.agents);
    Ok(list)
}

/// The names, each once, in the order of the table.
fn names(list: &AgentListResult, printer: &mut Printer) -> Result<(), Error> {
    let mut printed: Vec<&str> = Vec::new();
    for agent in &list.agents {
        if !printed.contains(&agent.name.as_str()) {
            printed.push(&agent.name);
            printer.line(&sanitize(&agent.name))?;
        }
    }
    Ok(())
}

fn nobody(args: &TeamArgs, params: &AgentListParams) -> String {
    let project = params.project.as_deref().map(sanitize);
    let scope = project.map_or_else(String::new, |project| format!(" in {project}"));
    let since = if args.all { "yet" } else { "in the last 30 days" };
    format!("No agents seen{scope} {since}.")
}
