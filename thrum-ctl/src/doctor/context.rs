use std::path::{Path, PathBuf};

use thrum_api::local::{Problem, StatusResult};

use super::daemon::Daemon;
use crate::daemon_process::find_thrumd;
use crate::endpoint::{Endpoint, Endpoints, Owner};
use crate::error::Error;
use crate::manager::Host;

/// What all checks look at.
pub struct CheckContext {
    /// Where sockets were looked for.
    pub endpoints: Endpoints,
    /// The daemon, or why there is none to talk to.
    pub daemon: Result<Daemon, Error>,
    /// The program that `daemon start` would start.
    pub thrumd: Result<PathBuf, Error>,
    /// A unit of systemd is installed for it.
    pub unit: bool,
    /// The agent's name in this shell.
    pub agent: Result<String, Error>,
    /// The project in this folder.
    pub project: Result<String, Error>,
}

impl CheckContext {
    /// Looks for the daemon in these endpoints and asks it everything. The rest is what the context says.
    pub async fn gather(
        endpoints: Endpoints,
        agent: Result<String, Error>,
        project: Result<String, Error>,
    ) -> Self {
        Self {
            daemon: Daemon::output(&endpoints).await,
            endpoints,
            thrumd: find_thrumd(),
            unit: crate::endpoint::unit_installed(),
            agent,
            project,
        }
    }

    /// What the daemon says of itself, if it answers.
    pub fn status(&self) -> Option<&StatusResult> {
        self.daemon.as_ref().ok().and_then(|daemon| daemon.status.as_ref().ok())
    }

    /// The problem of this id, if the service reports it.
    pub fn problem(&self, id: &str) -> Option<&Problem> {
        self.status()?.problems.iter().find(|problem| problem.id == id)
    }

    /// The endpoint of the socket that answers, else of the daemon that is most likely meant: the first
    /// one that left something behind.
    pub fn endpoint(&self) -> Endpoint {
        let endpoints = self.endpoints.candidates();
        let answering = self.daemon.as_ref().ok().map(|daemon| daemon.socket.as_path());
        let is_the_one = |endpoint: &&Endpoint| match answering {
            Some(socket) => endpoint.path == socket,
            None => {
                endpoint.path.exists()
                    || lock_file(&endpoint.path).is_some_and(|lock| lock.exists())
            }
        };
        let own = || Endpoint { path: self.endpoints.own_socket(), owner: Owner::User };
        let system =
            || endpoints.iter().find(|endpoint| endpoint.owner == Owner::System && self.unit);
        endpoints.iter().find(is_the_one).or_else(system).cloned().unwrap_or_else(own)
    }

    /// Its state directory.
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

    /// The command that tells why the daemon doesn't answer, if one is known.
    pub fn how_to_see_why(&self) -> Option<String> {
        Host::here().how_to_see_why(&self.endpoints, &self.endpoint().path)
    }

    /// Whose daemon it is.
    pub fn owner(&self) -> Owner {
        self.endpoint().owner
    }
}

fn lock_file(socket: &Path) -> Option<PathBuf> {
    Some(socket.parent()?.join("thrumd.lock"))
}
