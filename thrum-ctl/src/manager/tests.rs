use std::path::Path;

use super::*;

fn host(folder: &Path, is_root: bool, macos: bool) -> Host {
    std::fs::create_dir_all(folder.join("run/systemd/system")).unwrap();
    Host { root: folder.to_owned(), home: Some(folder.join("home/u")), is_root, macos }
}

/// Writes a file below this folder.
fn put(folder: &Path, path: impl AsRef<Path>, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const UNIT: &str = "usr/lib/systemd/system/thrumd.service";
const USER_UNIT: &str = "home/u/.config/systemd/user/thrumd.service";
const ALL: [Manager; 4] =
    [Manager::SystemdSystem, Manager::SystemdUser, Manager::LaunchdUser, Manager::LaunchdSystem];

#[test]
fn uninstalling_removes_exactly_what_installing_wrote() {
    for manager in ALL {
        let folder = tempfile::tempdir().unwrap();
        let macos = matches!(manager, Manager::LaunchdUser | Manager::LaunchdSystem);
        let host = host(folder.path(), true, macos);
        assert!(manager.uninstall(&host).is_err(), "{manager:?}: nothing is installed");
        let changes = manager.install(&host, Path::new("/opt/t/thrumd")).unwrap();
        for file in &changes.write {
            put(folder.path(), &file.path, &file.text);
        }
        let undo = manager.uninstall(&host).unwrap();
        let mut written: Vec<_> = changes.write.iter().map(|file| file.path.clone()).collect();
        let mut removed = undo.remove.clone();
        written.sort();
        removed.sort();
        assert_eq!(written, removed, "{manager:?}");
    }
}

#[test]
fn installed_files_name_only_the_real_program() {
    for manager in ALL {
        let folder = tempfile::tempdir().unwrap();
        let changes =
            manager.install(&host(folder.path(), true, false), Path::new("/opt/t/thrumd")).unwrap();
        let text: String = changes.write.iter().map(|file| file.text.as_str()).collect();
        assert!(text.contains("/opt/t/thrumd"), "{text}");
        assert!(!text.contains("/usr/bin/thrumd") && !text.contains("/usr/local"), "{text}");
    }
}

#[test]
fn files_that_thrum_did_not_write_are_not_changed() {
    for manager in ALL {
        let folder = tempfile::tempdir().unwrap();
        let host = host(folder.path(), true, false);
        let changes = manager.install(&host, Path::new("/opt/t/thrumd")).unwrap();
        put(folder.path(), &changes.write.last().unwrap().path, "theirs");
        assert!(manager.install(&host, Path::new("/opt/t/thrumd")).is_err(), "{manager:?}");
        assert!(manager.uninstall(&host).is_err(), "{manager:?}");
    }
}

#[test]
fn the_packages_unit_and_unreachable_programs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), true, false);
    let error = Manager::SystemdSystem.install(&host, Path::new("/home/u/bin/thrumd")).unwrap_err();
    assert!(error.hint().unwrap().contains("/usr/local/bin"), "{error:?}");
    put(folder.path(), UNIT, "");
    let error = Manager::SystemdSystem.install(&host, Path::new("/opt/thrumd")).unwrap_err();
    assert!(error.to_string().contains("the package"), "{error}");
}

#[test]
fn a_named_socket_or_state_directory_means_a_plain_process() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(folder.path(), false, false);
    let own_state = folder.path().join("home/u/.local/state/thrum");
    let unnamed = Endpoints { user_state_dir: Some(own_state.clone()), ..Endpoints::default() };
    assert_eq!(host.manager(&unnamed), None);
    put(folder.path(), UNIT, "");
    assert_eq!(host.manager(&unnamed), Some(Manager::SystemdSystem));
    let named = Endpoints { state_dir: Some("/tmp/x".into()), ..Endpoints::default() };
    assert_eq!(host.manager(&named), None);
    put(folder.path(), own_state.join("thrumd.sock"), "");
    assert_eq!(host.manager(&unnamed), None, "a daemon started by hand");
    // The user's own unit takes precedence over the system's.
    put(folder.path(), USER_UNIT, "");
    assert_eq!(host.manager(&unnamed), Some(Manager::SystemdUser));
    assert_eq!(host.manager(&named), None);
    // The unit's daemon reads the user's file, so the file's endpoint is that daemon's.
    let of_file = Endpoints { from_default_file: true, ..named };
    assert_eq!(host.manager(&of_file), Some(Manager::SystemdUser));
    std::fs::remove_file(folder.path().join(USER_UNIT)).unwrap();
    assert_eq!(host.manager(&of_file), None, "not the system's");
}

#[test]
fn the_command_that_shows_why_a_daemon_does_not_answer_depends_on_its_manager() {
    let folder = tempfile::tempdir().unwrap();
    let linux = host(folder.path(), false, false);
    let own_state = folder.path().join("home/u/.local/state/thrum");
    let unnamed = Endpoints { user_state_dir: Some(own_state.clone()), ..Endpoints::default() };
    let (own, system) = (own_state.join("thrumd.sock"), Path::new("/run/thrum/thrumd.sock"));
    let put = |path: &str| put(folder.path(), path, "");
    let why =
        |host: &Host, endpoints: &Endpoints, socket: &Path| host.how_to_see_why(endpoints, socket);
    assert_eq!(why(&linux, &unnamed, &own), None);
    assert_eq!(why(&linux, &unnamed, system), None);
    put(UNIT);
    assert_eq!(why(&linux, &unnamed, system).unwrap(), "systemctl status thrumd.service");
    put(USER_UNIT);
    assert_eq!(why(&linux, &unnamed, &own).unwrap(), "systemctl --user status thrumd.service");
    // The socket is the system's, so the user's unit does not matter.
    assert_eq!(why(&linux, &unnamed, system).unwrap(), "systemctl status thrumd.service");
    let named = Endpoints { socket: Some(system.to_owned()), ..Endpoints::default() };
    assert_eq!(why(&linux, &named, system).unwrap(), "systemctl status thrumd.service");
    put("home/u/.local/state/thrum/thrumd.log");
    let named = Endpoints { state_dir: Some(own_state.clone()), ..Endpoints::default() };
    let log = own_state.join("thrumd.log");
    assert_eq!(why(&linux, &named, &own).unwrap(), format!("tail -n 50 {}", log.display()));
    let mac = Host { macos: true, ..linux };
    put("home/u/Library/LaunchAgents/dev.thrum.thrumd.plist");
    let command = why(&mac, &unnamed, &own).unwrap();
    assert!(command.starts_with("launchctl print gui/"), "{command}");
    let brewed = Path::new("/opt/homebrew/var/thrum/thrumd.sock");
    assert_eq!(why(&mac, &unnamed, brewed).unwrap(), "brew services info thrum");
}

#[test]
fn stopping_the_system_service_stops_its_socket_too() {
    let stop = Manager::SystemdSystem.command(Action::Stop).join(" ");
    assert_eq!(stop, "systemctl stop thrumd.socket thrumd.service");
    let restart = Manager::SystemdSystem.command(Action::Restart).join(" ");
    assert_eq!(restart, "systemctl restart thrumd.service");
}
