//! `thrum socket`

use std::path::{Path, PathBuf};

use thrum_api::local::{
    NarrowSocket, SocketAdd, SocketAddParams, SocketList, SocketRemove, SocketRemoveParams,
};
use thrum_api::method::Empty;

use crate::context::Context;
use crate::error::Error;
use crate::format::shell_word;
use crate::render::table::Table;
use crate::terminal::sanitize;

/// `thrum socket add`
pub async fn add(path: Option<PathBuf>, context: &mut Context<'_>) -> Result<(), Error> {
    let params = SocketAddParams {
        project: context.project()?,
        agent: context.named_agent()?,
        path: path.as_deref().map(whole).transpose()?,
    };
    let socket = context.daemon().await?.call_again::<SocketAdd>(&params).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&socket);
    }
    printer.line(&sanitize(&socket.path))?;
    for line in how_to_use(&socket) {
        printer.note(&line);
    }
    Ok(())
}

/// What to do with a socket that was added.
fn how_to_use(socket: &NarrowSocket) -> Vec<String> {
    let project = sanitize(&socket.project);
    let who = match &socket.agent {
        Some(agent) => format!("as {}, and as nobody else", sanitize(agent)),
        None => "as any agent of this machine (--as fixes one)".to_owned(),
    };
    let path = Path::new(&socket.path);
    let folder = path.parent().unwrap_or(path).display().to_string();
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let mut variables = vec![("THRUM_SOCKET", format!("/run/thrum/{name}"))];
    variables.push(("THRUM_PROJECT", socket.project.clone()));
    variables.extend(socket.agent.iter().map(|agent| ("THRUM_AGENT", agent.clone())));
    let variables = variables
        .iter()
        .map(|(name, value)| format!(" -e {name}={}", shell_word(&sanitize(value))));
    let (folder, variables) = (shell_word(&sanitize(&folder)), variables.collect::<String>());
    let mut lines = vec![
        format!("Whoever can open it reads and writes messages of {project} {who}."),
        // The file of a socket is another one after a restart; its folder stays.
        format!("Mount its folder: docker run -v {folder}:/run/thrum{variables} ..."),
    ];
    if let Some(problem) = &socket.problem {
        lines.push(format!("It can't be used now: {}", sanitize(problem)));
    }
    lines
}

/// `thrum socket list`
pub async fn list(context: &mut Context<'_>) -> Result<(), Error> {
    let list = context.daemon().await?.call::<SocketList>(&Empty {}).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&list);
    }
    if printer.quiet() {
        return list.sockets.iter().try_for_each(|socket| printer.line(&sanitize(&socket.path)));
    }
    if list.sockets.is_empty() {
        printer.note("No narrow sockets. To serve one: thrum socket add --project NAME");
        return Ok(());
    }
    table(&list.sockets).lines().iter().try_for_each(|line| printer.text(line, "    "))
}

fn table(sockets: &[NarrowSocket]) -> Table {
    let mut table = Table::new(&["PATH", "PROJECT", "AGENT", "STATE"]);
    for socket in sockets {
        table.row(vec![
            socket.path.clone(),
            socket.project.clone(),
            socket.agent.clone().unwrap_or_else(|| "any".to_owned()),
            socket.problem.clone().unwrap_or_else(|| "served".to_owned()),
        ]);
    }
    table
}

/// `thrum socket remove`
pub async fn remove(path: &Path, context: &mut Context<'_>) -> Result<(), Error> {
    let params = SocketRemoveParams { path: whole(path)? };
    let result = context.daemon().await?.call_again::<SocketRemove>(&params).await?;
    context.printer.done(&result, &format!("Removed {}.", sanitize(&params.path)))
}

/// A path from the root, as the daemon needs it: it works in another folder.
fn whole(path: &Path) -> Result<String, Error> {
    let path = std::path::absolute(path)
        .map_err(|source| Error::io("can't find out the path of the socket", source))?;
    path.into_os_string().into_string().map_err(|path| {
        Error::usage(format!("the path {} is not UTF-8", path.display()), "choose another one")
    })
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn a_socket_says_who_can_do_what_and_how_to_mount_it() {
        let mut socket = NarrowSocket {
            path: "/run/thrum/narrow/app/s.sock".to_owned(),
            project: "app\u{1b}".to_owned(),
            agent: Some("coder".to_owned()),
            problem: None,
        };
        let mut text = how_to_use(&socket);
        (socket.agent, socket.problem) = (None, Some("the folder is gone".to_owned()));
        text.extend(how_to_use(&socket));
        text.extend(table(&[socket]).lines().iter().map(|line| strip_str(line).to_string()));
        insta::assert_snapshot!("socket", text.join("\n"));
    }
}
