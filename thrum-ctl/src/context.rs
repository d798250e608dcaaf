//! What every command needs: where to print, whom to call, who is asking.

use std::path::PathBuf;

use thrum_api::names;

use crate::cli::Global;
use crate::client::Client;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::manager::Host;
use crate::printer::Printer;
use crate::project;

/// The surroundings of one command.
pub struct Context<'a> {
    /// Where everything is said.
    pub printer: &'a mut Printer,
    socket: Option<PathBuf>,
    agent: Option<String>,
    project: Option<String>,
}

impl<'a> Context<'a> {
    /// As the flags say.
    pub fn new(global: Global, printer: &'a mut Printer) -> Self {
        // An empty variable counts as absent.
        let socket = global.socket.filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { printer, socket, agent: global.agent, project: global.project }
    }

    /// Where the daemon of this machine may be.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::from_environment(self.socket.clone())
    }

    /// The daemon of this machine. Whoever waits for it is told if it answers nobody.
    ///
    /// # Errors
    /// One of three for its three causes: not running, died, not permitted.
    pub async fn daemon(&self) -> Result<Client, Error> {
        let endpoints = self.endpoints();
        let client = Client::find(&endpoints).await?;
        let why = Host::here().how_to_see_why(&endpoints, client.path());
        let hint = format!("see why: {}", why.as_deref().unwrap_or("thrum doctor"));
        Ok(client.watched(self.printer.notice(), hint))
    }

    /// Who is asking.
    ///
    /// # Errors
    /// When nobody said so, or the name is none.
    pub fn agent(&self) -> Result<String, Error> {
        let name = self.agent.as_deref().filter(|name| !name.is_empty()).ok_or_else(|| {
            Error::usage(
                "who are you? No agent was named",
                "add --as NAME, or export THRUM_AGENT=NAME",
            )
        })?;
        agent_name(name)
    }

    /// The project that was named by flag or variable, if one was.
    ///
    /// # Errors
    /// When it is no name.
    pub fn named_project(&self) -> Result<Option<String>, Error> {
        let named = self.project.as_deref().filter(|name| !name.is_empty());
        let name = named.map(names::project).transpose();
        let name = name
            .map_err(|error| Error::usage(error.to_string(), "see --project and THRUM_PROJECT"))?;
        Ok(name.map(str::to_owned))
    }

    /// The project in which names are meant.
    ///
    /// # Errors
    /// When it was named and is no name, and when there is no current folder.
    pub fn project(&self) -> Result<String, Error> {
        if let Some(name) = self.named_project()? {
            return Ok(name);
        }
        let folder = std::env::current_dir().map_err(|source| {
            Error::failed(
                format!("can't tell the current folder: {source}"),
                "add --project NAME, or export THRUM_PROJECT=NAME",
            )
        })?;
        let name = project::of(&folder);
        match names::project(&name) {
            Ok(name) => Ok(name.to_owned()),
            Err(error) => Err(Error::usage(
                format!("{}: the folder {} can't name a project", error, folder.display()),
                "add --project NAME, or export THRUM_PROJECT=NAME",
            )),
        }
    }
}

/// An agent's name as a person writes it.
///
/// # Errors
/// When it is none.
pub fn agent_name(text: &str) -> Result<String, Error> {
    match names::agent(text) {
        Ok(name) => Ok(name.to_owned()),
        Err(error) => Err(Error::usage(
            format!("{text:?} is no agent: {error}"),
            "names have letters, digits and - _ . / : (a message with spaces goes into quotes)",
        )),
    }
}
