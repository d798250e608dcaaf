use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::Signal;

use crate::harness::{SHORT, eventually, process};

/// A long-running program that can be ended and started again. Its output goes to one file.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Program {
    pub(super) fn new(name: &str, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        Self { name: name.to_owned(), log, child: Mutex::new(None) }
    }

    pub(super) fn start(&self, command: &mut Command) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let copy = log.try_clone().unwrap();
        let started = command.stdin(Stdio::null()).stdout(copy).stderr(log).spawn();
        *child = Some(started.unwrap_or_else(|error| panic!("{}: {error}", self.name)));
    }

    /// Ends it and waits for the whole of it: a dying tailscaled still holds its socket.
    pub(super) fn end(&self, signal: Signal) {
        let taken = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut child) = taken else { return };
        process::signal(child.id(), signal);
        eventually(SHORT, || match child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(format!("{} does not end", self.name)),
        });
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Child::id)
    }

    pub(super) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- end of {}'s log\n{}\n---", self.name, self.log_tail());
        }
        let taken = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = taken {
            // A SIGTERM takes tailscaled and headscale 2 s each; nothing of theirs is kept.
            process::signal(child.id(), Signal::KILL);
            let _status = child.wait();
        }
    }
}
