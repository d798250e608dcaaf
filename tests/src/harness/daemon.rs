use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use thrum_api::local::{self, HealthResult, StatusResult};
use thrum_api::{DaemonId, Empty, Method};

use super::http::Response;
use super::{CallError, PeerCaller, Port, SHORT, eventually, process, rpc};

/// A real `thrumd` with its own state directory. Dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    pub(super) name: String,
    pub(super) folder: Option<tempfile::TempDir>,
    pub(super) state: PathBuf,
    pub(super) log: PathBuf,
    pub(super) machine_file: PathBuf,
    pub(super) env: BTreeMap<String, String>,
    pub(super) wrapper: Vec<OsString>,
    pub(super) program: Option<PathBuf>,
    pub(super) port: Port,
    pub(super) child: Option<Child>,
}

impl Daemon {
    /// The command that starts this daemon, with an environment of its own.
    pub fn command(&self) -> Command {
        let program = self.program.clone().unwrap_or_else(|| super::program("thrumd"));
        let mut command = match self.wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder())
            // Root's would be that of the machine, whatever its home is.
            .env("THRUM_CONFIG", "/dev/null")
            .env("THRUM_STATE_DIR", &self.state)
            .env("THRUM_MACHINE_ID_FILE", &self.machine_file)
            .env("THRUM_TS_PORT", self.port.number().to_string())
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Starts it, again or for the first time, and waits until it answers.
    ///
    /// # Panics
    /// When it runs already, dies or does not answer.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.spawn();
        let pid = self.pid();
        eventually(SHORT, || {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("{} ended while it started, {status}:\n{}", self.name, self.log_text());
            }
            let health = self.call::<local::Health>(Empty {}).map_err(|error| error.to_string())?;
            super::holds(health.pid == pid, || format!("{} answers for {pid}", health.pid))
        });
    }

    /// Starts it without waiting until it answers.
    ///
    /// # Panics
    /// When it runs already.
    #[track_caller]
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        self.child = Some(self.command().stderr(log).spawn().expect("thrumd starts"));
    }

    /// Ends it with SIGTERM, as service managers do, and gives its exit status.
    ///
    /// # Panics
    /// When it doesn't end.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        process::signal(self.pid(), Signal::TERM);
        self.ended()
    }

    /// Ends it with SIGKILL: nothing is written, nobody is told.
    ///
    /// # Panics
    /// When it doesn't run.
    #[track_caller]
    pub fn kill(&mut self) {
        process::signal(self.pid(), Signal::KILL);
        self.ended();
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it doesn't.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("a running daemon");
        let status = eventually(SHORT, || match child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(format!("{} still runs", self.name)),
        });
        self.child = None;
        status
    }

    /// Changes a setting for the next start.
    pub fn set_env(&mut self, name: &str, value: impl ToString) {
        self.env.insert(name.to_owned(), value.to_string());
    }

    /// Takes a setting away for the next start.
    pub fn unset_env(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process.
    ///
    /// # Panics
    /// When it doesn't run.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running daemon").id()
    }

    /// Its folder: state directory, log and machine id.
    pub fn folder(&self) -> &Path {
        self.log.parent().expect("a folder")
    }

    /// Its state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.state.join("thrumd.sock")
    }

    /// Everything that it wrote to stderr.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Calls a method of the local surface.
    ///
    /// # Errors
    /// When it is refused or nothing comes.
    pub fn call<M: Method>(&self, params: M::Params) -> Result<M::Result, CallError> {
        self.call_within::<M>(params, Duration::from_secs(30))
    }

    /// Calls a method that may take this long.
    ///
    /// # Errors
    /// When it is refused or nothing comes.
    pub fn call_within<M: Method>(
        &self,
        params: M::Params,
        limit: Duration,
    ) -> Result<M::Result, CallError> {
        rpc::call_local::<M>(&self.socket(), &params, limit)
    }

    /// Calls a method that must succeed.
    ///
    /// # Panics
    /// When it doesn't.
    #[track_caller]
    pub fn ask<M: Method>(&self, params: M::Params) -> M::Result {
        self.call::<M>(params)
            .unwrap_or_else(|error| panic!("{} at {}: {error}", M::NAME, self.name))
    }

    /// Posts any bytes to the local surface.
    ///
    /// # Panics
    /// When nothing comes.
    #[track_caller]
    pub fn post(&self, body: &[u8]) -> Response {
        rpc::post_local(&self.socket(), body, Duration::from_secs(30)).expect("an answer")
    }

    /// Result of `health`.
    #[track_caller]
    pub fn health(&self) -> HealthResult {
        self.ask::<local::Health>(Empty {})
    }

    /// Result of `status`.
    #[track_caller]
    pub fn status(&self) -> StatusResult {
        self.ask::<local::Status>(Empty {})
    }

    /// Its daemon id.
    #[track_caller]
    pub fn id(&self) -> DaemonId {
        self.health().daemon_id
    }

    /// Where peers reach it, once it listens.
    pub fn peer_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.number()))
    }

    /// Someone without a token at its peer port.
    pub fn stranger(&self) -> PeerCaller {
        PeerCaller::new(self.peer_address())
    }

    /// Changes where it dials a peer. Only while it is stopped.
    ///
    /// # Panics
    /// When it runs or has no such peer.
    pub fn set_peer_address(&mut self, peer: DaemonId, address: SocketAddr) {
        assert!(self.child.is_none(), "stop {} first", self.name);
        let path = self.state.join("peers.json");
        let mut file: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let entry = find_peer(&mut file, &peer.to_string()).expect("the peer's entry");
        entry.insert("address".to_owned(), address.to_string().into());
        fs::write(&path, serde_json::to_vec_pretty(&file).unwrap()).unwrap();
    }

    /// The tokens in its `peers.json`.
    ///
    /// # Panics
    /// When it has no such file.
    pub fn tokens(&self) -> Vec<String> {
        let file = fs::read_to_string(self.state.join("peers.json")).unwrap();
        let is_token =
            |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        file.split('"').filter(is_token).map(str::to_owned).collect()
    }

    /// Makes it another machine: a new identity, with the log that it has. Only while it is stopped.
    ///
    /// # Panics
    /// When it runs or that fails.
    pub fn reset_identity(&self) {
        assert!(self.child.is_none(), "stop {} first", self.name);
        let reset = self.command().arg("--reset-identity").output().unwrap();
        assert!(reset.status.success(), "{reset:?}");
    }

    /// Copies its state directory to a new folder. Only while it is stopped.
    ///
    /// # Panics
    /// When it runs.
    pub fn backup(&self) -> tempfile::TempDir {
        assert!(self.child.is_none(), "stop {} first", self.name);
        let copy = tempfile::Builder::new().prefix("thrum-backup-").tempdir().unwrap();
        copy_folder(&self.state, copy.path());
        copy
    }

    /// Stops it, makes such a backup, and starts it again.
    ///
    /// # Panics
    /// As those do.
    pub fn backup_and_go_on(&mut self) -> tempfile::TempDir {
        self.stop();
        let backup = self.backup();
        self.start_again();
        backup
    }

    /// Removes the files of its database. Only while it is stopped.
    ///
    /// # Panics
    /// When it runs.
    pub fn delete_database(&self) {
        assert!(self.child.is_none(), "stop {} first", self.name);
        for name in ["log.db", "log.db-wal", "log.db-shm"] {
            let _absent = fs::remove_file(self.state.join(name));
        }
    }

    /// Puts the database of a backup in place of its own. Only while it is stopped.
    ///
    /// # Panics
    /// When it runs or the backup has none.
    pub fn restore_database(&self, backup: &Path) {
        self.delete_database();
        // With what is noted of the log that was closed last: as if nobody could tell yet.
        let _absent = fs::remove_file(self.state.join("log.closed"));
        for name in ["log.db", "log.db-wal", "log.closed"] {
            if backup.join(name).exists() {
                fs::copy(backup.join(name), self.state.join(name)).unwrap();
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::signal(child.id(), Signal::KILL);
            let _status = child.wait();
        }
        if std::thread::panicking() {
            let text = self.log_text();
            let lines: Vec<_> = text.lines().collect();
            let tail = &lines[lines.len().saturating_sub(40)..];
            eprintln!("--- end of {}'s log, kept in {}", self.name, self.folder().display());
            eprintln!("{}\n---", tail.join("\n"));
            if let Some(folder) = self.folder.take() {
                let _kept = folder.keep();
            }
        }
    }
}

fn find_peer<'a>(
    value: &'a mut serde_json::Value,
    id: &str,
) -> Option<&'a mut serde_json::Map<String, serde_json::Value>> {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            let is_it = members.contains_key("address")
                && members.values().any(|member| member.as_str() == Some(id));
            if is_it {
                return Some(members);
            }
            members.values_mut().find_map(|member| find_peer(member, id))
        }
        Value::Array(items) => items.iter_mut().find_map(|item| find_peer(item, id)),
        _ => None,
    }
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_file() {
            fs::copy(entry.path(), to).unwrap();
        } else if kind.is_dir() {
            copy_folder(&entry.path(), &to);
        }
    }
}
