use std::path::{Path, PathBuf};

use thrum_api::local::{Problem, StatusResult};

use super::daemon::Daemon;
use super::tool_state::ToolState;
use crate::daemon_process::find_thrumd;
use crate::endpoint::{Endpoint, Endpoints, Owner};
use crate::error::{Error, Kind};
use crate::manager::Host;
use crate::project::Project;

/// The inputs of all checks.
pub struct CheckContext {
    /// Where to look for the socket.
    pub endpoints: Endpoints,
    /// The daemon, or why it can't be reached.
    pub daemon: Result<Daemon, Error>,
    /// The program that `daemon start` would start.
    pub thrumd: Result<PathBuf, Error>,
    /// Whether a systemd unit is installed.
    pub unit: bool,
    /// The agent's name in this shell.
    pub agent: Result<String, Error>,
    /// The project in this folder.
    pub project: Result<Project, Error>,
    /// The tools of agents, as far as they are known in this folder.
    pub tools: Vec<ToolState>,
}

impl CheckContext {
    /// Finds the daemon at these endpoints and queries it.
    pub async fn gather(
        endpoints: Endpoints,
        agent: Result<String, Error>,
        project: Result<Project, Error>,
        tools: Vec<ToolState>,
    ) -> Self {
        Self {
            daemon: Daemon::query(&endpoints).await,
            endpoints,
            thrumd: find_thrumd(),
            unit: crate::endpoint::unit_installed(),
            agent,
            project,
            tools,
        }
    }

    /// The daemon's status, if it answers.
    pub fn status(&self) -> Option<&StatusResult> {
        self.daemon.as_ref().ok().and_then(|daemon| daemon.status.as_ref().ok())
    }

    /// Why the daemon's status is not known, if it was asked for.
    pub fn status_error(&self) -> Option<&Error> {
        self.daemon.as_ref().ok().and_then(|daemon| daemon.status.as_ref().err())
    }

    /// Whether thrumd was reached over a narrow socket, which answers nothing about the service.
    pub fn is_narrow(&self) -> bool {
        let status = self.daemon.as_ref().ok().map(|daemon| &daemon.status);
        matches!(status, Some(Err(error)) if error.kind() == Kind::NotPermitted)
    }

    /// The problem with this id, if thrumd reports it.
    pub fn problem(&self, id: &str) -> Option<&Problem> {
        self.status()?.problems.iter().find(|problem| problem.id == id)
    }

    /// The endpoint that answers, or else the first one where a daemon left files behind.
    pub fn endpoint(&self) -> Endpoint {
        let endpoints = self.endpoints.candidates();
        let answering = self.daemon.as_ref().ok().map(|daemon| daemon.socket.as_path());
        let matches = |endpoint: &&Endpoint| match answering {
            Some(socket) => endpoint.path == socket,
            None => {
                endpoint.path.exists()
                    || lock_file(&endpoint.path).is_some_and(|lock| lock.exists())
            }
        };
        let own = || Endpoint { path: self.endpoints.own_socket(), owner: Owner::User };
        let system =
            || endpoints.iter().find(|endpoint| endpoint.owner == Owner::System && self.unit);
        endpoints.iter().find(matches).or_else(system).cloned().unwrap_or_else(own)
    }

    /// The daemon's state directory.
    pub fn state_dir(&self) -> PathBuf {
        if let Ok(daemon) = &self.daemon {
            return PathBuf::from(&daemon.health.state_dir);
        }
        if let Some(named) = &self.endpoints.state_dir {
            return named.clone();
        }
        let endpoint = self.endpoint();
        match endpoint.path.parent() {
            Some(folder) if !folder.starts_with("/run") => folder.to_owned(),
            _ => Path::new("/var/lib/thrum").to_owned(),
        }
    }

    /// The command that shows why the daemon doesn't answer, if one is known.
    pub fn how_to_see_why(&self) -> Option<String> {
        Host::here().how_to_see_why(&self.endpoints, &self.endpoint().path)
    }

    /// The owner of the daemon.
    pub fn owner(&self) -> Owner {
        self.endpoint().owner
    }
}

fn lock_file(socket: &Path) -> Option<PathBuf> {
    Some(socket.parent()?.join("thrumd.lock"))
}
