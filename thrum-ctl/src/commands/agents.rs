use thrum_api::duration::ago;
use thrum_api::local::{AgentList, AgentListParams};

use crate::cli::AgentsArgs;
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::format::short_id;
use crate::render::table::Table;

/// `thrum agents`
pub async fn run(args: &AgentsArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let project = if args.all_projects { None } else { Some(context.project()?) };
    let params = AgentListParams { project: project.clone(), all: args.all };
    let list = context.daemon().await?.call::<AgentList>(&params).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&list);
    }
    if printer.quiet() {
        for agent in &list.agents {
            printer.line(&crate::terminal::sanitize(&agent.name))?;
        }
        return Ok(());
    }
    if list.agents.is_empty() {
        let scope = project.map_or_else(String::new, |project| format!(" in {project}"));
        let since = if args.all { "yet" } else { "in the last 30 days" };
        printer.note(&format!("No agents seen{scope} {since}."));
        return Ok(());
    }
    let now = clock::now();
    let mut table = Table::new(&["AGENT", "MACHINE", "LAST SEEN"]);
    if project.is_none() {
        table = Table::new(&["AGENT", "MACHINE", "LAST SEEN", "PROJECT"]);
    }
    for agent in &list.agents {
        let id = short_id(&agent.daemon_id.to_string());
        let machine = match &agent.machine {
            Some(machine) if agent.former => format!("{machine} before ({id})"),
            Some(machine) => machine.clone(),
            None => id,
        };
        let mut cells = vec![agent.name.clone(), machine, ago(agent.last_seen, now)];
        if project.is_none() {
            cells.push(agent.project.clone().unwrap_or_default());
        }
        table.row(cells);
    }
    printer.lines(&table.lines())
}
