use std::path::{Path, PathBuf};

use super::changes::{Changes, FileToWrite, free, ours};
use super::host::{Action, Host, MARKER, Manager};
use crate::endpoint::system_unit;
use crate::error::Error;

const SERVICE: &str = include_str!("../../units/system.service");
const SOCKET: &str = include_str!("../../units/system.socket");
const SYSUSERS: &str = include_str!("../../units/sysusers.conf");
const USER_SERVICE: &str = include_str!("../../units/user.service");
/// The path of the program in the units, which is replaced by the real one.
const PACKAGED: &str = "/usr/bin/thrumd";

const SYSTEM_FOLDER: &str = "/etc/systemd/system";
const PACKAGE_FOLDERS: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];
const USER_FOLDER: &str = ".config/systemd/user";

/// Whether this user has a unit of their own. The package's user unit counts only if it is enabled.
pub fn user_unit_in_use(host: &Host) -> bool {
    let names = ["thrumd.service", "default.target.wants/thrumd.service"];
    let Ok(folder) = host.in_home(USER_FOLDER) else { return false };
    names.iter().any(|name| folder.join(name).symlink_metadata().is_ok())
}

fn systemctl(manager: Manager, words: &[&str]) -> Vec<String> {
    let user = (manager == Manager::SystemdUser).then_some("--user");
    std::iter::once("systemctl")
        .chain(user)
        .chain(words.iter().copied())
        .map(str::to_owned)
        .collect()
}

pub fn command(manager: Manager, action: Action) -> Vec<String> {
    let words: &[&str] = match (manager, action) {
        (Manager::SystemdUser, Action::Start) => &["start", "thrumd.service"],
        (Manager::SystemdUser, Action::Stop) => &["stop", "thrumd.service"],
        // The socket, too: otherwise the next client would start the daemon again.
        (_, Action::Stop) => &["stop", "thrumd.socket", "thrumd.service"],
        (_, Action::Start) => &["start", "thrumd.socket", "thrumd.service"],
        (_, Action::Restart) => &["restart", "thrumd.service"],
        (_, Action::Status) => &["status", "thrumd.service"],
    };
    systemctl(manager, words)
}

pub fn install(manager: Manager, host: &Host, thrumd: &Path) -> Result<Changes, Error> {
    let program = thrumd.display().to_string();
    if program.contains(|c: char| c.is_whitespace() || "%\"'\\$".contains(c)) {
        return Err(Error::failed(
            format!("systemd can't use the path {program:?}; nothing was changed"),
            "move the programs to a folder without special characters in its name",
        ));
    }
    let file = |path: PathBuf, text: &str| FileToWrite {
        path,
        text: format!("# {MARKER}\n{}", text.replace(PACKAGED, &program)),
    };
    let write = if manager == Manager::SystemdUser {
        let folder = host.in_home(USER_FOLDER)?;
        vec![file(folder.join("thrumd.service"), USER_SERVICE)]
    } else {
        let packaged = PACKAGE_FOLDERS.iter().map(|folder| host.at(folder).join("thrumd.service"));
        if let Some(unit) = packaged.into_iter().find(|unit| unit.exists()) {
            return Err(Error::failed(
                format!(
                    "the package has already installed {}; nothing was changed",
                    unit.display()
                ),
                "systemctl enable --now thrumd",
            ));
        }
        if ["/home/", "/root/", "/run/user/", "/tmp/"].iter().any(|at| program.starts_with(at)) {
            return Err(Error::failed(
                format!("the service runs as its own user, which can't reach {program}"),
                format!(
                    "first: sudo install -t /usr/local/bin {program} {}",
                    thrumd.with_file_name("thrum").display()
                ),
            ));
        }
        let folder = host.at(SYSTEM_FOLDER);
        vec![
            file(host.at("/etc/sysusers.d/thrum.conf"), SYSUSERS),
            file(folder.join("thrumd.socket"), SOCKET),
            file(folder.join("thrumd.service"), SERVICE),
        ]
    };
    for file in &write {
        free(&file.path)?;
    }
    let mut after = Vec::new();
    if manager == Manager::SystemdSystem {
        after.push(vec!["systemd-sysusers".to_owned(), "thrum.conf".to_owned()]);
    }
    after.push(systemctl(manager, &["daemon-reload"]));
    after.push(systemctl(manager, &["enable", "--now", "thrumd.service"]));
    Ok(Changes { write, after, ..Changes::default() })
}

pub fn uninstall(manager: Manager, host: &Host) -> Result<Changes, Error> {
    let files: Vec<PathBuf> = if manager == Manager::SystemdUser {
        vec![host.in_home(USER_FOLDER)?.join("thrumd.service")]
    } else {
        let folder = host.at(SYSTEM_FOLDER);
        let unit = |name: &str| folder.join(name);
        vec![unit("thrumd.service"), unit("thrumd.socket"), host.at("/etc/sysusers.d/thrum.conf")]
    };
    let remove: Vec<PathBuf> = files.into_iter().filter(|path| ours(path)).collect();
    if remove.is_empty() {
        let hint = match system_unit(&host.root) {
            Some(_) => "for the package's service: sudo apt remove thrum, or dnf remove thrum",
            None => "to stop a running daemon: thrum daemon stop",
        };
        return Err(Error::failed("`thrum daemon install` has installed nothing here", hint));
    }
    let units: &[&str] = match manager {
        Manager::SystemdUser => &["disable", "--now", "thrumd.service"],
        _ => &["disable", "--now", "thrumd.socket", "thrumd.service"],
    };
    Ok(Changes {
        before: vec![systemctl(manager, units)],
        remove,
        write: Vec::new(),
        after: vec![systemctl(manager, &["daemon-reload"])],
    })
}
