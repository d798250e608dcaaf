//! The context of a command: printer, daemon, agent and project.

use std::path::{Path, PathBuf};

use thrum_api::names;

use crate::cli::Global;
use crate::client::Client;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::manager::Host;
use crate::printer::Printer;
use crate::project::{self, Project};

/// The context of one command.
pub struct Context<'a> {
    /// The output.
    pub printer: &'a mut Printer,
    socket: Option<PathBuf>,
    agent: Option<String>,
    project: Option<String>,
}

impl<'a> Context<'a> {
    /// The context from the global options.
    pub fn new(global: Global, printer: &'a mut Printer) -> Self {
        // An empty variable counts as absent.
        let socket = global.socket.filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { printer, socket, agent: global.agent, project: global.project }
    }

    /// The options that say which daemon, agent and project are meant, for a context that outlives this one.
    pub fn choices(&self) -> Global {
        let socket = self.socket.clone().map(Into::into);
        let (agent, project) = (self.agent.clone(), self.project.clone());
        Global { socket, agent, project, ..Global::default() }
    }

    /// The endpoints where the daemon may be.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::from_environment(self.socket.clone())
    }

    /// A client of the daemon. It tells the person if the daemon is unresponsive, or its views are behind.
    ///
    /// # Errors
    /// When the daemon is not running, has died, or may not be used.
    pub async fn daemon(&self) -> Result<Client, Error> {
        let endpoints = self.endpoints();
        let client = Client::find(&endpoints).await?;
        let why = Host::here().how_to_see_why(&endpoints, client.path());
        let hint = format!("see why: {}", why.as_deref().unwrap_or("thrum doctor"));
        Ok(client.watched(self.printer.notice(), hint).showing(self.printer.views_progress()))
    }

    /// The caller's agent name.
    ///
    /// # Errors
    /// When it is missing or invalid.
    pub fn agent(&self) -> Result<String, Error> {
        self.named_agent()?.ok_or_else(|| {
            Error::usage("your agent name is missing", "add --as NAME, or export THRUM_AGENT=NAME")
        })
    }

    /// The caller's agent name, if there is one.
    ///
    /// # Errors
    /// When it is invalid.
    pub fn named_agent(&self) -> Result<Option<String>, Error> {
        self.agent.as_deref().filter(|name| !name.is_empty()).map(agent_name).transpose()
    }

    /// The project from the option or variable, if given.
    ///
    /// # Errors
    /// When it is invalid.
    pub fn named_project(&self) -> Result<Option<String>, Error> {
        let named = self.project.as_deref().filter(|name| !name.is_empty());
        let name = named.map(names::project).transpose();
        name.map_err(|error| Error::usage(error.to_string(), "see --project and THRUM_PROJECT"))
    }

    /// The name of the project of the agents and messages.
    ///
    /// # Errors
    /// When the name is invalid, and when the current folder is unknown.
    pub fn project(&self) -> Result<String, Error> {
        self.sourced_project().map(|project| project.name)
    }

    /// The project and where its name was read.
    ///
    /// # Errors
    /// As [`Context::project`].
    pub fn sourced_project(&self) -> Result<Project, Error> {
        if let Some(name) = self.named_project()? {
            return Ok(Project { name, source: "--project or THRUM_PROJECT says so".to_owned() });
        }
        let folder = std::env::current_dir().map_err(|source| {
            Error::failed(
                format!("can't read the current folder: {source}"),
                "add --project NAME, or export THRUM_PROJECT=NAME",
            )
        })?;
        folder_project(&folder)
    }
}

/// The project of a folder, whatever the options say.
///
/// # Errors
/// When its name is invalid.
pub fn folder_project(folder: &Path) -> Result<Project, Error> {
    let Project { name, source } = project::of(folder);
    let name = names::project(&name).map_err(|error| {
        Error::usage(
            format!("the folder {} can't name a project: {error}", folder.display()),
            "add --project NAME, or export THRUM_PROJECT=NAME",
        )
    })?;
    Ok(Project { name, source })
}

/// The agent name in a text, with or without `@`.
///
/// # Errors
/// When it is invalid.
pub fn agent_name(text: &str) -> Result<String, Error> {
    names::agent(text).map_err(|error| {
        Error::usage(
            format!("{text:?} is not an agent name: {error}"),
            "names have letters, digits and - _ . / : (put quotes around a message with spaces)",
        )
    })
}

/// The address of a recipient or sender in a text: `name`, `name@machine`, or `@name` for a group or an agent.
///
/// # Errors
/// When it is invalid.
pub fn address(text: &str) -> Result<String, Error> {
    let (at, rest) = match text.strip_prefix('@') {
        Some(rest) => ("@", rest),
        None => ("", text),
    };
    let (name, machine) = match rest.split_once('@') {
        Some((name, machine)) => (name, Some(machine)),
        None => (rest, None),
    };
    let name = agent_name(name)?;
    let Some(machine) = machine else { return Ok(format!("{at}{name}")) };
    let machine = names::daemon(machine).map_err(|error| {
        Error::usage(format!("{text:?} is not an address: {error}"), "write it as NAME@MACHINE")
    })?;
    Ok(format!("{name}@{machine}"))
}

/// The address of an agent in a text: `name` or `name@machine`, with or without `@` before it.
///
/// # Errors
/// When it is invalid.
pub fn agent_address(text: &str) -> Result<String, Error> {
    Ok(address(text)?.trim_start_matches('@').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_name_one_of_a_machine_or_a_group() {
        for (typed, meant) in [
            ("coder", "coder"),
            ("@reviewers", "@reviewers"),
            ("coder@office-server", "coder@office-server"),
            ("@coder@old mac", "coder@old mac"),
            ("e\u{301}", "\u{e9}"),
        ] {
            assert_eq!(address(typed).unwrap(), meant);
        }
        for wrong in ["", "@", "@@a", "the parser", "coder@", "a@\u{202e}"] {
            assert_eq!(address(wrong).unwrap_err().kind().exit_code(), 2, "{wrong:?}");
        }
    }
}
