//! Which narrow sockets there are, kept in `sockets.json`, and where: each in a folder of its own, which is what a
//! container mounts.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use thrum_api::local::NarrowSocket;
use thrum_api::{ErrorCode, RpcError};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::narrow_folder;
use super::scope::Scope;
use super::socket::LocalSocket;
use crate::config::SOCKET_PATH_MAX_BYTES;
use crate::report::Chain;
use crate::statefile::{StateFile, StateFileError};

const FILE: &str = "sockets.json";
/// The folder with the folders of narrow sockets. In the state directory: the service may write there whatever else is
/// closed to it, and a folder that a container has mounted stays the same when thrumd or the machine starts again.
const FOLDER: &str = "agents";
/// Where clients look for a socket in `/run/thrum`.
const NAME: &str = "thrumd.sock";
/// Each takes file descriptors.
const MAX: usize = 32;

/// Serves a socket within a scope, until it is removed.
pub(super) type Server = Box<dyn Fn(LocalSocket, Scope, CancellationToken) + Send + Sync>;

/// All narrow sockets.
pub struct NarrowSockets {
    file: StateFile,
    folder: PathBuf,
    /// The socket of thrumd itself.
    main: PathBuf,
    entries: Mutex<Vec<Entry>>,
    server: OnceLock<Server>,
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    sockets: Vec<StoredSocket>,
}

#[derive(Clone, Serialize, Deserialize)]
struct StoredSocket {
    path: PathBuf,
    project: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
}

struct Entry {
    stored: StoredSocket,
    problem: Option<String>,
    /// Cancelled when it is removed.
    removed: CancellationToken,
}

impl Entry {
    fn socket(&self) -> NarrowSocket {
        NarrowSocket {
            path: self.stored.path.display().to_string(),
            project: self.stored.project.clone(),
            agent: self.stored.agent.clone(),
            problem: self.problem.clone(),
        }
    }

    fn is_of(&self, scope: &Scope) -> bool {
        self.stored.project == scope.project && self.stored.agent == scope.agent
    }
}

impl NarrowSockets {
    /// Reads `sockets.json`. A damaged file is moved aside and reported by the returned warning. `main`: the socket of
    /// thrumd itself.
    ///
    /// # Errors
    /// When the file can't be read or moved.
    pub fn open(state_dir: &Path, main: &Path) -> Result<(Self, Option<String>), StateFileError> {
        let file = StateFile::new(state_dir, FILE);
        let (stored, warning) = match file.read::<Stored>() {
            Ok(stored) => (stored.unwrap_or_default(), None),
            Err(error @ StateFileError::Damaged { .. }) => {
                let aside = file.move_aside("damaged")?;
                let warning = format!(
                    "{}; it was moved aside to {} and there is no narrow socket now: add them again",
                    Chain(&error),
                    aside.display()
                );
                tracing::warn!("{warning}");
                (Stored::default(), Some(warning))
            }
            Err(error) => return Err(error),
        };
        let entry = |stored| Entry { stored, problem: None, removed: CancellationToken::new() };
        let entries = stored.sockets.into_iter().map(entry).collect();
        let sockets = Self {
            file,
            folder: state_dir.join(FOLDER),
            main: main.to_owned(),
            entries: Mutex::new(entries),
            server: OnceLock::new(),
        };
        Ok((sockets, warning))
    }

    /// Serves those that there are, and from now on each that is added.
    pub(super) async fn serve_with(&self, server: Server) {
        let mut entries = self.entries.lock().await;
        let server = self.server.get_or_init(|| server);
        for entry in entries.iter_mut() {
            let StoredSocket { path, project, agent } = entry.stored.clone();
            let bound = match Scope::new(&project, agent.as_deref()) {
                Ok(scope) => self.bind(path).await.map(|socket| (socket, scope)),
                Err(error) => Err(error.to_string()),
            };
            match bound {
                Ok((socket, scope)) => server(socket, scope, entry.removed.clone()),
                Err(why) => {
                    tracing::error!("a narrow socket is not served: {why}");
                    entry.problem = Some(why);
                }
            }
        }
    }

    pub(super) async fn list(&self) -> Vec<NarrowSocket> {
        let mut sockets: Vec<_> = self.entries.lock().await.iter().map(Entry::socket).collect();
        sockets.sort_by(|a, b| a.path.cmp(&b.path));
        sockets
    }

    /// Adds and serves one. The same once more is no other one.
    pub(super) async fn add(
        &self,
        scope: Scope,
        path: Option<&str>,
    ) -> Result<NarrowSocket, RpcError> {
        let mut entries = self.entries.lock().await;
        let path = path.map(given).transpose()?;
        let is_same = |entry: &Entry| match &path {
            Some(path) => entry.stored.path == *path,
            None => entry.is_of(&scope) && entry.stored.path.starts_with(&self.folder),
        };
        let at = entries.iter().position(is_same);
        if let Some(entry) = at.and_then(|at| entries.get(at)) {
            if !entry.is_of(&scope) {
                let message = format!("{} is another narrow socket", entry.stored.path.display());
                return Err(RpcError::new(ErrorCode::REFUSED, message).hint("thrum socket list"));
            }
            if entry.problem.is_none() {
                return Ok(entry.socket());
            }
        }
        if entries.len() >= MAX && at.is_none() {
            let message = format!("there are {MAX} narrow sockets, and no more are served");
            return Err(RpcError::new(ErrorCode::REFUSED, message).hint("thrum socket remove PATH"));
        }
        let path = match (at.and_then(|at| entries.get(at)), path) {
            (Some(entry), _) => entry.stored.path.clone(),
            (None, Some(path)) => path,
            (None, None) => self.unused(&scope, &entries),
        };
        let server = self.server.get().ok_or_else(super::errors::stopping)?;
        let refused = |why| RpcError::new(ErrorCode::REFUSED, why);
        let socket = self.bind(path.clone()).await.map_err(refused)?;
        let stored =
            StoredSocket { path, project: scope.project.clone(), agent: scope.agent.clone() };
        let entry = Entry { stored, problem: None, removed: CancellationToken::new() };
        let (answer, removed) = (entry.socket(), entry.removed.clone());
        match at.and_then(|at| entries.get_mut(at)) {
            Some(there) => *there = entry,
            None => {
                entries.push(entry);
                if let Err(error) = self.write(&entries) {
                    entries.pop();
                    return Err(error);
                }
            }
        }
        server(socket, scope, removed);
        Ok(answer)
    }

    /// Ends one, and what goes over it.
    pub(super) async fn remove(&self, path: &str) -> Result<(), RpcError> {
        let mut entries = self.entries.lock().await;
        let Some(at) = entries.iter().position(|entry| entry.stored.path == Path::new(path)) else {
            let message = format!("there is no narrow socket at {path:?}");
            return Err(RpcError::new(ErrorCode::NOT_FOUND, message).hint("thrum socket list"));
        };
        let entry = entries.remove(at);
        if let Err(error) = self.write(&entries) {
            entries.insert(at, entry);
            return Err(error);
        }
        entry.removed.cancel();
        Ok(())
    }

    fn write(&self, entries: &[Entry]) -> Result<(), RpcError> {
        let sockets = entries.iter().map(|entry| entry.stored.clone()).collect();
        match self.file.write(&Stored { sockets }) {
            // It is there, and only a power cut may lose it.
            Err(error @ StateFileError::Unsynced { .. }) => {
                tracing::warn!("{}", Chain(&error));
                Ok(())
            }
            Err(error) => {
                tracing::error!("{}", Chain(&error));
                let answer = RpcError::new(ErrorCode::STORAGE, error.to_string());
                Err(match error.next() {
                    Some(next) => answer.hint(next),
                    None => answer,
                })
            }
            Ok(()) => Ok(()),
        }
    }

    /// A path in a folder of this scope that no other one has.
    fn unused(&self, scope: &Scope, entries: &[Entry]) -> PathBuf {
        let folder = narrow_folder::name(scope);
        let paths = (1..).map(|number| match number {
            1 => self.folder.join(&folder).join(NAME),
            number => self.folder.join(format!("{folder}-{number}")).join(NAME),
        });
        let is_taken = |path: &PathBuf| entries.iter().any(|entry| entry.stored.path == *path);
        paths.take(MAX + 1).find(|path| !is_taken(path)).unwrap_or_else(|| self.folder.join(NAME))
    }

    /// Binds a socket that every user may use who can get to its folder.
    async fn bind(&self, path: PathBuf) -> Result<LocalSocket, String> {
        let (folder, main) = (self.folder.clone(), self.main.clone());
        let bind = move || {
            if path == main {
                return Err(format!("{} is the socket of thrumd itself", path.display()));
            }
            make_folder(&path, &folder)?;
            LocalSocket::bind_for_all(&path).map_err(|error| Chain(&error).to_string())
        };
        tokio::task::spawn_blocking(bind).await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

/// A path as a person gave it.
fn given(path: &str) -> Result<PathBuf, RpcError> {
    let refused = |why: String| RpcError::new(ErrorCode::INVALID_PARAMS, why);
    let given = Path::new(path);
    let is_plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if !given.is_absolute() || !given.components().all(is_plain) || path.contains('\0') {
        return Err(refused(format!("{path:?} is no absolute path without \"..\"")));
    }
    if path.len() > SOCKET_PATH_MAX_BYTES {
        let max = SOCKET_PATH_MAX_BYTES;
        return Err(refused(format!("the path of a socket has at most {max} bytes")));
    }
    Ok(given.components().collect())
}

/// Makes the folder of a socket. One that is there has to be one that nobody else may write to: who may, could put
/// another socket into this one's place. `ours`: nobody else gets through it on the machine itself, while a container
/// has what is in it.
fn make_folder(path: &Path, ours: &Path) -> Result<(), String> {
    let Some(folder) = path.parent() else { return Err("the path has no folder".to_owned()) };
    let make = |folder: &Path, mode| {
        let made = DirBuilder::new().recursive(true).mode(mode).create(folder);
        made.map_err(|error| format!("can't create the folder {}: {error}", folder.display()))
    };
    if path.starts_with(ours) {
        make(ours, 0o700)?;
    }
    let is_new = !folder.exists();
    make(folder, 0o755)?;
    let wrong = |error: io::Error| format!("can't use the folder {}: {error}", folder.display());
    if is_new {
        // Whatever the umask of the process.
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder, mode).map_err(wrong)?;
    }
    let found = std::fs::metadata(folder).map_err(wrong)?;
    let own = rustix::process::geteuid().as_raw();
    if ![0, own].contains(&found.uid()) || found.mode() & 0o022 != 0 {
        return Err(format!(
            "others may write to the folder {} (mode {:04o}, user {}), and could put a socket of theirs there",
            folder.display(),
            found.mode() & 0o7777,
            found.uid()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_path_is_absolute_plain_and_short() {
        assert_eq!(given("/run//x/./a.sock").unwrap(), Path::new("/run/x/a.sock"));
        for wrong in ["", "a.sock", "/run/../etc/a.sock", "/a\0b", &format!("/{}", "x".repeat(200))]
        {
            assert_eq!(given(wrong).unwrap_err().code, ErrorCode::INVALID_PARAMS, "{wrong:?}");
        }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let ours = home.path().join("agents");
        let path = ours.join("app/thrumd.sock");
        make_folder(&path, &ours).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&ours), mode(path.parent().unwrap())), (0o700, 0o755));
        let set = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path.parent().unwrap(), mode).unwrap();
        };
        for open in [0o777, 0o1777, 0o775] {
            set(open);
            let why = make_folder(&path, &ours).unwrap_err();
            assert!(why.contains("others may write"), "{why}");
        }
        set(0o700);
        make_folder(&path, &ours).unwrap();
        assert_eq!(mode(path.parent().unwrap()), 0o700, "what a person closed stays closed");
    }
}
