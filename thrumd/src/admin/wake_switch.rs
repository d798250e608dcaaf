//! The switch of waking, kept in `wake.json`: where idle sessions of this machine are not woken.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use thrum_api::local::WakeSwitchResult;
use thrum_api::{ErrorCode, RpcError};
use tokio::sync::Mutex;

use crate::agents::WakeOff;
use crate::report::Chain;
use crate::statefile::{StateFile, StateFileError};

const FILE: &str = "wake.json";
/// Projects at most whose sessions are not woken.
const PROJECTS_MAX: usize = 1000;

/// The switch.
pub struct WakeSwitch {
    file: StateFile,
    off: Mutex<WakeOff>,
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    all_off: bool,
    #[serde(default)]
    projects_off: BTreeSet<String>,
}

impl WakeSwitch {
    /// Reads `wake.json`. A damaged file is moved aside and reported by the returned warning; then nobody is woken until a
    /// person says so.
    ///
    /// # Errors
    /// When the file can't be read, moved or written.
    pub fn open(state_dir: &Path) -> Result<(Self, Option<String>), StateFileError> {
        let file = StateFile::new(state_dir, FILE);
        let (stored, warning) = match file.read::<Stored>() {
            Ok(stored) => (stored.unwrap_or_default(), None),
            Err(error @ StateFileError::Damaged { .. }) => {
                // A file that says so first: after the next start, too, nobody is woken.
                let aside = file.move_aside("damaged")?;
                let stored = Stored { all_off: true, ..Stored::default() };
                synced(file.write(&stored))?;
                let warning = format!(
                    "{}; it was moved aside to {}, and sessions are not woken until that is switched on again",
                    Chain(&error),
                    aside.display()
                );
                tracing::warn!("{warning}");
                (stored, Some(warning))
            }
            Err(error) => return Err(error),
        };
        let off = WakeOff { all: stored.all_off, projects: stored.projects_off };
        Ok((Self { file, off: Mutex::new(off) }, warning))
    }

    /// Where sessions are not woken.
    pub async fn off(&self) -> WakeOff {
        self.off.lock().await.clone()
    }

    /// Switches waking off or on, for a project or for all, and has `apply` carry that out. Off counts although it could not
    /// be stored.
    pub async fn switch(
        &self,
        project: Option<String>,
        is_off: bool,
        apply: impl FnOnce(WakeOff),
    ) -> Result<WakeOff, RpcError> {
        let mut off = self.off.lock().await;
        let mut new = off.clone();
        match project {
            Some(project) if is_off => {
                new.projects.insert(project);
            }
            Some(project) => {
                new.projects.remove(&project);
            }
            None => new.all = is_off,
        }
        if new.projects.len() > PROJECTS_MAX {
            let message = format!("waking is switched off for {PROJECTS_MAX} projects already");
            return Err(RpcError::new(ErrorCode::REFUSED, message)
                .hint("switch it off for all projects: thrum wake off --all-projects"));
        }
        let stored = Stored { all_off: new.all, projects_off: new.projects.clone() };
        let written = synced(self.file.write(&stored));
        if is_off || written.is_ok() {
            off.clone_from(&new);
            apply(new.clone());
        }
        written.map(|()| new).map_err(|error| {
            tracing::error!("{}", Chain(&error));
            let answer = RpcError::new(ErrorCode::STORAGE, error.to_string());
            match error.next() {
                Some(next) => answer.hint(next),
                None => answer,
            }
        })
    }
}

/// What was written is there, and only a power cut may lose it.
fn synced(written: Result<(), StateFileError>) -> Result<(), StateFileError> {
    match written {
        Err(error @ StateFileError::Unsynced { .. }) => {
            tracing::warn!("{}", Chain(&error));
            Ok(())
        }
        written => written,
    }
}

/// As programs see it.
pub(super) fn shown(off: WakeOff) -> WakeSwitchResult {
    WakeSwitchResult { all_off: off.all, projects_off: off.projects.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    async fn switch(switch: &WakeSwitch, project: Option<&str>, is_off: bool) -> WakeOff {
        let mut applied = None;
        let project = project.map(str::to_owned);
        let answer = switch.switch(project, is_off, |off| applied = Some(off)).await.unwrap();
        assert_eq!(applied.as_ref(), Some(&answer));
        answer
    }

    #[tokio::test]
    async fn what_was_switched_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (one, warning) = WakeSwitch::open(dir.path()).unwrap();
        assert_eq!((one.off().await, warning), (WakeOff::default(), None));
        switch(&one, Some("app"), true).await;
        switch(&one, Some("web"), true).await;
        switch(&one, Some("app"), false).await;
        let off = switch(&one, None, true).await;
        assert!(off.has("app") && off.has("web"));
        let (again, warning) = WakeSwitch::open(dir.path()).unwrap();
        assert_eq!((again.off().await, warning), (off, None));
        let off = switch(&again, None, false).await;
        assert!(!off.has("app") && off.has("web"));
        let mode = dir.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn with_a_damaged_file_nobody_is_woken_until_that_is_switched_on() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        let (one, warning) = WakeSwitch::open(dir.path()).unwrap();
        assert!(one.off().await.all && warning.unwrap().contains("moved aside"));
        let (again, warning) = WakeSwitch::open(dir.path()).unwrap();
        assert!(again.off().await.all && warning.is_none(), "after a restart, too");
        assert!(!switch(&again, None, false).await.has("app"));
    }

    #[tokio::test]
    async fn off_counts_although_it_can_not_be_stored() {
        let dir = tempfile::tempdir().unwrap();
        let (one, _) = WakeSwitch::open(dir.path()).unwrap();
        std::fs::remove_dir_all(dir.path()).unwrap();
        let mut applied = Vec::new();
        one.switch(None, true, |off| applied.push(off.all)).await.unwrap_err();
        one.switch(None, false, |off| applied.push(off.all)).await.unwrap_err();
        assert_eq!((applied, one.off().await.all), (vec![true], true));
    }
}
