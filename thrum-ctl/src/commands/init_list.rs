use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Error;
use crate::render::setup::state;
use crate::render::table::Table;
use crate::setup::{self, FileState, Homes, Record, SetupCheck, Tool};

/// `thrum init --list`
pub fn run(context: &mut Context<'_>) -> Result<(), Error> {
    let folder = std::env::current_dir()
        .map_err(|source| Error::io("can't read the current folder", source))?;
    let setups = setup::check_with(&folder, &Record::read()?, &Homes::from_environment()?);
    let mut table = Table::new(&["TOOL", "INSTALLED", "SET UP", "AGENT", "IN THE TOOL"]);
    let mut tools = Vec::new();
    for tool in Tool::ALL {
        let found = tool.programs().iter().any(|program| which::which(program).is_ok());
        let of_tool: Vec<&SetupCheck> = setups.iter().filter(|it| it.tool == tool).collect();
        let is_set_up = !of_tool.is_empty();
        let who = match is_set_up {
            true => Some(setup::identity(tool, &folder, context)?),
            false => None,
        };
        let mut trust: Vec<&str> =
            of_tool.iter().filter_map(|it| tool.needs_trust(&it.scope)).collect();
        trust.dedup();
        let trust = (!trust.is_empty()).then(|| trust.join("; "));
        let states: Vec<String> = of_tool.iter().map(|it| state(it)).collect();
        table.row(vec![
            tool.name().to_owned(),
            installed(tool, found).to_owned(),
            if is_set_up { states.join("; ") } else { "no".to_owned() },
            who.as_ref().map_or_else(|| "-".to_owned(), |who| who.agent.clone()),
            trust.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
        tools.push(json!({
            "tool": tool,
            "installed": found,
            "set_up": of_tool.iter().map(|it| document(it)).collect::<Vec<_>>(),
            "agent": who.as_ref().map(|who| &who.agent),
            "wake": who.as_ref().is_some_and(|who| who.wake),
            "needs_trust": trust,
        }));
    }
    if context.printer.json() {
        return context.printer.object(&json!({ "tools": tools }));
    }
    context.printer.lines(&table.lines())
}

const fn installed(tool: Tool, found: bool) -> &'static str {
    match (tool.programs().is_empty(), found) {
        (true, _) => "-",
        (false, true) => "yes",
        (false, false) => "no",
    }
}

fn document(setup: &SetupCheck) -> Value {
    let files = setup.files.iter().map(|(path, state)| {
        let state = match state {
            FileState::AsWritten => "as_written",
            FileState::Changed => "changed",
            FileState::Missing => "missing",
            FileState::Unreadable(_) => "unreadable",
        };
        json!({ "path": path, "state": state })
    });
    json!({
        "scope": if setup.scope.folder().is_some() { "folder" } else { "user" },
        "by_you": setup.is_recorded,
        "files": files.collect::<Vec<_>>(),
    })
}
