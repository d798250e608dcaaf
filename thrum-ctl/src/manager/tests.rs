use std::path::Path;

use super::*;

fn host(folder: &Path, is_root: bool, macos: bool) -> Host {
    std::fs::create_dir_all(folder.join("run/systemd/system")).unwrap();
    Host { root: folder.to_owned(), home: Some(folder.join("home/u")), is_root, macos }
}

fn write_files(changes: &Changes) {
    for file in &changes.write {
        std::fs::create_dir_all(file.path.parent().unwrap()).unwrap();
        std::fs::write(&file.path, &file.text).unwrap();
    }
}

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
        write_files(&changes);
        let undo = manager.uninstall(&host).unwrap();
        let mut written: Vec<_> = changes.write.iter().map(|file| file.path.clone()).collect();
        let mut removed = undo.remove.clone();
        written.sort();
        removed.sort();
        assert_eq!(written, removed, "{manager:?}");
    }
}

#[test]
fn what_is_written_names_the_real_program_and_nothing_else() {
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
fn what_somebody_else_wrote_is_left_alone() {
    for manager in ALL {
        let folder = tempfile::tempdir().unwrap();
        let host = host(folder.path(), true, false);
        let changes = manager.install(&host, Path::new("/opt/t/thrumd")).unwrap();
        let theirs = &changes.write.last().unwrap().path;
        std::fs::create_dir_all(theirs.parent().unwrap()).unwrap();
        std::fs::write(theirs, "theirs").unwrap();
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
    let unit = folder.path().join("usr/lib/systemd/system/thrumd.service");
    std::fs::create_dir_all(unit.parent().unwrap()).unwrap();
    std::fs::write(&unit, "").unwrap();
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
    let unit = folder.path().join("usr/lib/systemd/system/thrumd.service");
    std::fs::create_dir_all(unit.parent().unwrap()).unwrap();
    std::fs::write(&unit, "").unwrap();
    assert_eq!(host.manager(&unnamed), Some(Manager::SystemdSystem));
    let named = Endpoints { state_dir: Some("/tmp/x".into()), ..Endpoints::default() };
    assert_eq!(host.manager(&named), None);
    std::fs::create_dir_all(&own_state).unwrap();
    std::fs::write(own_state.join("thrumd.sock"), "").unwrap();
    assert_eq!(host.manager(&unnamed), None, "a daemon started by hand");
    // A unit of the user's own goes before the machine's.
    let own = folder.path().join("home/u/.config/systemd/user/thrumd.service");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(&own, "").unwrap();
    assert_eq!(host.manager(&unnamed), Some(Manager::SystemdUser));
    assert_eq!(host.manager(&named), None);
    // The unit's daemon reads the user's file, so that one is what the file speaks of.
    let of_file = Endpoints { from_default_file: true, ..named };
    assert_eq!(host.manager(&of_file), Some(Manager::SystemdUser));
    std::fs::remove_file(&own).unwrap();
    assert_eq!(host.manager(&of_file), None, "not the machine's");
}

#[test]
fn why_a_daemon_does_not_answer_is_asked_of_whoever_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let linux = host(folder.path(), false, false);
    let own_state = folder.path().join("home/u/.local/state/thrum");
    let unnamed = Endpoints { user_state_dir: Some(own_state.clone()), ..Endpoints::default() };
    let (own, system) = (own_state.join("thrumd.sock"), Path::new("/run/thrum/thrumd.sock"));
    let put = |path: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    };
    let why =
        |host: &Host, endpoints: &Endpoints, socket: &Path| host.how_to_see_why(endpoints, socket);
    assert_eq!(why(&linux, &unnamed, &own), None);
    assert_eq!(why(&linux, &unnamed, system), None);
    put("usr/lib/systemd/system/thrumd.service");
    assert_eq!(why(&linux, &unnamed, system).unwrap(), "systemctl status thrumd.service");
    put("home/u/.config/systemd/user/thrumd.service");
    assert_eq!(why(&linux, &unnamed, &own).unwrap(), "systemctl --user status thrumd.service");
    // The machine's answers; that the user has a unit as well says nothing of it.
    assert_eq!(why(&linux, &unnamed, system).unwrap(), "systemctl status thrumd.service");
    let named = Endpoints { socket: Some(system.to_owned()), ..Endpoints::default() };
    assert_eq!(why(&linux, &named, system).unwrap(), "systemctl status thrumd.service");
    put("home/u/.local/state/thrum/thrumd.log");
    let named = Endpoints { state_dir: Some(own_state.clone()), ..Endpoints::default() };
    let log = own_state.join("thrumd.log");
    assert_eq!(why(&linux, &named, &own).unwrap(), format!("tail -n 50 {}", log.display()));
    let mac = Host { macos: true, ..linux };
    put("home/u/Library/LaunchAgents/dev.thrum.thrumd.plist");
    let said = why(&mac, &unnamed, &own).unwrap();
    assert!(said.starts_with("launchctl print gui/"), "{said}");
    let brewed = Path::new("/opt/homebrew/var/thrum/thrumd.sock");
    assert_eq!(why(&mac, &unnamed, brewed).unwrap(), "brew services info thrum");
}

#[test]
fn stopping_the_machines_service_stops_its_socket_too() {
    let stop = Manager::SystemdSystem.command(Action::Stop).join(" ");
    assert_eq!(stop, "systemctl stop thrumd.socket thrumd.service");
    let restart = Manager::SystemdSystem.command(Action::Restart).join(" ");
    assert_eq!(restart, "systemctl restart thrumd.service");
}
