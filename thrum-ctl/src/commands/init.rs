use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::peers::confirm;
use super::{init_list, init_undo};
use crate::by_agent;
use crate::cli::InitArgs;
use crate::context::{Context, folder_project};
use crate::error::Error;
use crate::project;
use crate::render::setup::{plan_diff, plan_lines, words};
use crate::setup::{
    self, AGENTS_LINES, Homes, Outcome, Part, Plan, Record, Scope, Setup, Tool, default_name,
};
use crate::terminal::{is_interactive, read_line, sanitize};

/// `thrum init`
pub async fn run(args: &InitArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let Some(tool) = args.tool else { return init_list::run(context) };
    let homes = Homes::from_environment()?;
    let scope = scope(tool, args, &homes)?;
    if args.undo {
        return init_undo::run(tool, &scope, &homes, args, context).await;
    }
    if args.wake && !tool.can_be_woken() {
        return Err(Error::usage(
            format!("an idle session of {} can't be woken", tool.title()),
            "leave --wake out: it sees messages at its next step or prompt",
        ));
    }
    if args.wake && !args.confirm.dry_run {
        by_agent::refuse_waking()?;
    }
    set_up(tool, &scope, &homes, args, context).await
}

/// For what the tool is set up.
fn scope(tool: Tool, args: &InitArgs, homes: &Homes) -> Result<Scope, Error> {
    if args.user && tool == Tool::Script {
        return Err(Error::usage(
            "there is no file of yours that every tool reads",
            "leave --user out, and say the same in each project; or put the lines where your tool reads them: \
             thrum init script --dry-run",
        ));
    }
    if args.user {
        return Ok(Scope::Person);
    }
    let folder = std::env::current_dir().and_then(std::fs::canonicalize);
    let folder = folder.map_err(|source| Error::io("can't read the current folder", source))?;
    let is_home = std::fs::canonicalize(&homes.home).is_ok_and(|home| home == folder);
    if is_home {
        return Err(Error::usage(
            "this is your home folder: its files are for every folder",
            "for you, in every folder: add --user; for a project: go to its folder first",
        ));
    }
    Ok(Scope::Folder(folder))
}

async fn set_up(
    tool: Tool,
    scope: &Scope,
    homes: &Homes,
    args: &InitArgs,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let mut lock = None;
    if args.confirm.yes && !args.confirm.dry_run {
        lock = Some(setup::lock().await?);
    }
    let mut record = Record::read()?;
    let plan = Plan::of(tool, scope, homes, &record)?;
    let old = record.of(tool, scope.folder()).cloned();
    let chosen = |now: Option<String>, variable, old: Option<&String>| {
        // What a variable says counts anyway, as long as it says so.
        let is_set = std::env::var(variable).is_ok_and(|value| Some(&value) == now.as_ref());
        now.filter(|_| !is_set).or_else(|| old.cloned())
    };
    let mut setup = Setup {
        tool,
        folder: scope.folder().map(Path::to_owned),
        agent: chosen(
            context.named_agent()?,
            "THRUM_AGENT",
            old.as_ref().and_then(|it| it.agent.as_ref()),
        ),
        project: chosen(
            context.named_project()?,
            "THRUM_PROJECT",
            old.as_ref().and_then(|it| it.project.as_ref()),
        ),
        wake: args.wake || old.as_ref().is_some_and(|it| it.wake),
        files: plan.files.iter().filter_map(|file| file.record.clone()).collect(),
        folders: old.as_ref().map(|it| it.folders.clone()).unwrap_or_default(),
    };
    let mut changes = plan.changes();
    let agent = agent(&setup)?;
    if changes.is_empty() && old.as_ref() == Some(&setup) {
        if args.confirm.dry_run && context.printer.json() {
            let would = document(&plan, &setup, &agent, false);
            return context.printer.object(&json!({ "would": would }));
        }
        let text = format!("{} is already set up. {}", tool.title(), undo_hint(tool, args));
        return context
            .printer
            .done(&json!({ "set_up": document(&plan, &setup, &agent, false) }), &text);
    }
    setup::check_writable(&changes)?;
    let mut lines = plan_lines(&plan, homes);
    lines.extend(twice(tool, scope, &record, homes));
    if args.confirm.dry_run {
        return dry_run(&plan, &setup, &agent, &lines, homes, context);
    }
    lines.iter().for_each(|line| context.printer.note(line));
    if let Some((path, real)) = plan.outside().filter(|_| args.confirm.yes) {
        return Err(Error::failed(
            format!(
                "{} is a link out of this folder, to {}; nothing was changed",
                path.display(),
                real.display()
            ),
            "look at that file; without --yes, thrum asks whether it may be changed",
        ));
    }
    if plan.replaces() {
        plan_diff(&plan, homes, |it| matches!(it, Outcome::Replaced(_)))
            .iter()
            .for_each(|line| context.printer.note(line));
    }
    if !args.confirm.yes {
        if !changes.is_empty() {
            confirm("Write this? [y/N] ", context.printer).await?;
        }
        if tool.can_be_woken() && !setup.wake && old.is_none() {
            setup.wake = asked_to_wake(scope, context).await?;
        }
    }
    setup.folders.extend(setup::missing_folders(&changes));
    record.put(setup.clone());
    // First: what was there before can't be found out again from files that were changed.
    changes.insert(0, record.change()?);
    if lock.is_none() {
        // What was read before the questions is compared once more with what is there.
        lock = Some(setup::lock().await?);
    }
    setup::apply(&changes)?;
    drop(lock);
    for line in hints(tool, scope, args, context)? {
        context.printer.note(&line);
    }
    let text = done_text(tool, &setup, agent.as_deref(), args);
    context.printer.done(&json!({ "set_up": document(&plan, &setup, &agent, true) }), &text)
}

/// The name that the agent will have; None if it depends on the folder.
fn agent(setup: &Setup) -> Result<Option<String>, Error> {
    if let Some(agent) = &setup.agent {
        return Ok(Some(agent.clone()));
    }
    let project = match (&setup.project, &setup.folder) {
        (Some(project), _) => project.clone(),
        (None, Some(folder)) => folder_project(folder)?.name,
        (None, None) => return Ok(None),
    };
    Ok(Some(default_name(&project, setup.tool)))
}

fn dry_run(
    plan: &Plan,
    setup: &Setup,
    agent: &Option<String>,
    lines: &[String],
    homes: &Homes,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    if context.printer.json() {
        return context.printer.object(&json!({ "would": document(plan, setup, agent, true) }));
    }
    context.printer.lines(lines)?;
    if !context.printer.quiet() {
        context.printer.lines(&plan_diff(plan, homes, |_| true))?;
    }
    context.printer.line("Nothing was changed.")
}

/// Asks whether idle sessions are woken. Without a terminal they are not, nor if an agent would answer.
async fn asked_to_wake(scope: &Scope, context: &mut Context<'_>) -> Result<bool, Error> {
    if !is_interactive() || context.printer.json() || by_agent::sign().is_some() {
        return Ok(false);
    }
    let place = if scope.folder().is_some() { "here" } else { "everywhere" };
    context.printer.ask(&format!(
        "Wake idle sessions {place} when a message comes? Messages of other machines then start turns by themselves. \
         [y/N] "
    ));
    let answer = read_line().await?.unwrap_or_default();
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// What tells that the tool is set up in another way, too: it runs the hooks of both.
fn twice(tool: Tool, scope: &Scope, record: &Record, homes: &Homes) -> Option<String> {
    let others = setup::others(tool, scope, record, homes);
    let folders: Vec<_> =
        others.iter().filter_map(Scope::folder).map(Path::to_string_lossy).collect();
    match (others.is_empty(), scope) {
        (true, _) => None,
        (false, Scope::Folder(_)) => Some(format!(
            "{} is set up for you in every folder, too: here its hooks may run twice. \
             To take that back: thrum init {tool} --user --undo",
            tool.title()
        )),
        (false, Scope::Person) => Some(format!(
            "{} is set up by itself in {}, too: there its hooks may run twice. \
             To take that back, in the folder: thrum init {tool} --undo",
            tool.title(),
            sanitize(&folders.join(", "))
        )),
    }
}

/// What a person has to do or to know.
fn hints(
    tool: Tool,
    scope: &Scope,
    args: &InitArgs,
    context: &Context<'_>,
) -> Result<Vec<String>, Error> {
    let mut hints: Vec<String> = tool.to_do(scope).iter().map(|it| (*it).to_owned()).collect();
    if which::which("thrum").is_err() {
        hints.push(
            "thrum is not on the PATH of this shell. The tool must find it there.".to_owned(),
        );
    }
    let root = scope.folder().and_then(project::root);
    if let Some(root) = root.filter(|root| Some(root.as_path()) != scope.folder()) {
        hints.push(format!(
            "The checkout begins above, at {}. A tool that is started there may not read these files.",
            root.display()
        ));
    }
    if let Some(name) = context.named_agent()?.filter(|_| !args.confirm.dry_run) {
        let is_set = std::env::var("THRUM_AGENT").is_ok_and(|value| value == name);
        if is_set {
            hints.push(format!("THRUM_AGENT is set here: where it is, the agent is {name:?}."));
        }
    }
    Ok(hints)
}

fn done_text(tool: Tool, setup: &Setup, agent: Option<&str>, args: &InitArgs) -> String {
    let who = match (agent, &setup.agent) {
        (Some(agent), Some(_)) => format!("In the next session the agent is {agent:?}."),
        (Some(agent), None) => {
            format!("In the next session the agent is {agent:?}; say another name with --as.")
        }
        (None, _) => format!(
            "The agent is named after the project, such as \"app-{}\"; say one name for all with --as.",
            tool.short()
        ),
    };
    let woken =
        if setup.wake { " Idle sessions are woken; to stop that: thrum wake off." } else { "" };
    format!("Done. {who}{woken} {}", undo_hint(tool, args))
}

fn undo_hint(tool: Tool, args: &InitArgs) -> String {
    format!("Undo: thrum init {tool}{} --undo", if args.user { " --user" } else { "" })
}

fn document(plan: &Plan, setup: &Setup, agent: &Option<String>, changed: bool) -> Value {
    let files = plan.files.iter().map(|file| {
        let of = |wanted: fn(&Outcome) -> bool| {
            let parts = file.parts.iter().filter(|(_, outcome)| wanted(outcome));
            words(&parts.map(|(part, _)| *part).collect::<Vec<Part>>())
        };
        let state = match (&file.from.text, file.is_changed()) {
            (None, _) => "new",
            (Some(_), true) => "changed",
            (Some(_), false) => "same",
        };
        json!({
            "path": file.path,
            "leads_to": file.leads_to,
            "state": state,
            "added": of(|it| *it == Outcome::New),
            "replaced": of(|it| matches!(it, Outcome::Replaced(_))),
        })
    });
    let files: Vec<Value> = files.collect();
    let mut document = json!({
        "tool": plan.tool,
        "scope": if setup.folder.is_some() { "folder" } else { "user" },
        "wake": setup.wake,
        "changed": changed,
        "files": files,
        "to_do": plan.tool.to_do(&plan.scope),
    });
    let folder: Option<&PathBuf> = setup.folder.as_ref();
    if let Some(members) = document.as_object_mut() {
        members.extend(folder.map(|folder| ("folder".to_owned(), json!(folder))));
        members.extend(agent.as_ref().map(|agent| ("agent".to_owned(), json!(agent))));
        if plan.tool == Tool::Script {
            members.insert("lines".to_owned(), json!(AGENTS_LINES));
        }
    }
    document
}
