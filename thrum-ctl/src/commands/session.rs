//! `thrum session`

use std::path::{Path, PathBuf};

use thrum_api::local::{
    SessionEnd, SessionEndParams, SessionResult, SessionStart, SessionStartParams, SessionUpdate,
    SessionUpdateParams,
};

use crate::cli::{SessionEndArgs, SessionStartArgs, SessionUpdateArgs};
use crate::context::Context;
use crate::error::Error;
use crate::printer::Printer;
use crate::project;
use crate::terminal::sanitize;

/// `thrum session start`
pub async fn start(args: SessionStartArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let folder = folder(args.folder.as_deref())?;
    let params = SessionStartParams {
        agent: context.agent()?,
        project: context.project()?,
        session: given(args.id),
        tool: args.tool,
        pid: Some(args.pid.unwrap_or_else(std::os::unix::process::parent_id)),
        connection: false,
        join: false,
        reach: None,
        state: args.state.map(Into::into),
        question: args.question,
        task: args.task,
        branch: args.branch.or_else(|| project::branch(&folder)),
        folder: Some(folder.display().to_string()),
    };
    let result = context.daemon().await?.call_again::<SessionStart>(&params).await?;
    print_id(&result, context.printer)
}

/// The id is the result, for `THRUM_SESSION=$(thrum session start)`.
fn print_id(result: &SessionResult, printer: &mut Printer) -> Result<(), Error> {
    if printer.json() {
        return printer.object(result);
    }
    printer.line(&sanitize(&result.session.id))
}

/// `thrum session update`
pub async fn update(args: SessionUpdateArgs, context: &mut Context<'_>) -> Result<(), Error> {
    if args.state.is_none()
        && [&args.task, &args.question, &args.branch].iter().all(|it| it.is_none())
    {
        return Err(Error::usage(
            "there is nothing to change",
            "add --state, --task, --question or --branch: thrum help session update",
        ));
    }
    let params = SessionUpdateParams {
        agent: context.agent()?,
        project: context.project()?,
        session: given(args.id),
        reach: None,
        state: args.state.map(Into::into),
        question: args.question,
        task: args.task,
        folder: None,
        branch: args.branch,
    };
    let result = context.daemon().await?.call_again::<SessionUpdate>(&params).await?;
    context.printer.done(&result, &format!("Updated {}.", sanitize(&result.session.id)))
}

/// `thrum session end`
pub async fn end(args: SessionEndArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let (agent, project) = (context.agent()?, context.project()?);
    let params = SessionEndParams { agent, project, session: given(args.id) };
    let result = context.daemon().await?.call_again::<SessionEnd>(&params).await?;
    context.printer.done(&result, "Ended.")
}

/// An empty variable counts as absent.
fn given(id: Option<String>) -> Option<String> {
    id.filter(|id| !id.is_empty())
}

/// The whole path of a folder; of this one if none is named.
fn folder(named: Option<&Path>) -> Result<PathBuf, Error> {
    let what = "can't find out the path of the folder";
    match named {
        Some(path) => std::path::absolute(path),
        None => std::env::current_dir(),
    }
    .map_err(|source| Error::io(what, source))
}
