use std::path::{Path, PathBuf};

use thrum_api::local::StatusResult;

use super::daemon::Daemon;
use crate::client::place::{Owner, Place, Places};
use crate::commands::find_thrumd;
use crate::error::Error;
use crate::manager::Site;

/// What all checks look at.
pub struct Around {
    /// Where sockets were looked for.
    pub places: Places,
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

impl Around {
    /// Looks for the daemon in these places and asks it everything. The rest is what the context says.
    pub async fn gather(
        places: Places,
        agent: Result<String, Error>,
        project: Result<String, Error>,
    ) -> Self {
        Self {
            daemon: Daemon::ask(&places).await,
            places,
            thrumd: find_thrumd(),
            unit: crate::client::unit_installed(),
            agent,
            project,
        }
    }

    /// What the daemon says of itself, if it answers.
    pub fn status(&self) -> Option<&StatusResult> {
        self.daemon.as_ref().ok().and_then(|daemon| daemon.status.as_ref().ok())
    }

    /// The place of the socket that answers, else of the daemon that is most likely meant: the first
    /// one that left something behind.
    pub fn place(&self) -> Place {
        let places = self.places.in_order();
        let answering = self.daemon.as_ref().ok().map(|daemon| daemon.socket.as_path());
        let is_the_one = |place: &&Place| match answering {
            Some(socket) => place.path == socket,
            None => place.path.exists() || lock_file(&place.path).is_some_and(|lock| lock.exists()),
        };
        let own = || Place { path: self.places.own_socket(), owner: Owner::User };
        let system = || places.iter().find(|place| place.owner == Owner::System && self.unit);
        places.iter().find(is_the_one).or_else(system).cloned().unwrap_or_else(own)
    }

    /// Its state directory.
    pub fn state_dir(&self) -> PathBuf {
        if let Ok(daemon) = &self.daemon {
            return PathBuf::from(&daemon.health.state_dir);
        }
        if let Some(named) = &self.places.state_dir {
            return named.clone();
        }
        let place = self.place();
        match place.path.parent() {
            Some(folder) if !folder.starts_with("/run") => folder.to_owned(),
            _ => Path::new("/var/lib/thrum").to_owned(),
        }
    }

    /// The command that tells why the daemon doesn't answer, if one is known.
    pub fn how_to_see_why(&self) -> Option<String> {
        Site::here().how_to_see_why(&self.places, &self.place().path)
    }

    /// Whose daemon it is.
    pub fn owner(&self) -> Owner {
        self.place().owner
    }
}

fn lock_file(socket: &Path) -> Option<PathBuf> {
    Some(socket.parent()?.join("thrumd.lock"))
}
