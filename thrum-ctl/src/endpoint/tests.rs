use super::*;

fn paths(endpoints: &Endpoints) -> Vec<String> {
    endpoints.candidates().iter().map(|endpoint| endpoint.path.display().to_string()).collect()
}

fn of_user() -> Endpoints {
    Endpoints { user_state_dir: Some("/home/u/.local/state/thrum".into()), ..Endpoints::default() }
}

#[test]
fn the_users_own_daemon_takes_precedence() {
    assert_eq!(
        paths(&of_user()),
        [
            "/home/u/.local/state/thrum/thrumd.sock",
            "/run/thrum/thrumd.sock",
            "/var/lib/thrum/thrumd.sock",
            "/opt/homebrew/var/thrum/thrumd.sock",
            "/usr/local/var/thrum/thrumd.sock",
        ]
    );
}

#[test]
fn a_named_endpoint_is_the_only_one() {
    let by_state_dir = Endpoints { state_dir: Some("/tmp/a".into()), ..of_user() };
    assert_eq!(paths(&by_state_dir), ["/tmp/a/thrumd.sock"]);
    let by_socket = Endpoints { socket: Some("/tmp/s".into()), ..by_state_dir };
    assert_eq!(paths(&by_socket), ["/tmp/s"]);
    assert_eq!(by_socket.own_state_dir(), Path::new("/tmp/a"));
}

#[test]
fn a_state_directory_that_was_never_used_is_not_chosen_beside_another() {
    let home = tempfile::tempdir().unwrap();
    let own = home.path().to_owned();
    let user = Endpoints { user_state_dir: Some(own.clone()), ..Endpoints::default() };
    let [system, brewed] = [SYSTEM_STATE_DIR, HOMEBREW[0]].map(Path::new);
    let owner = |endpoints: &Endpoints, others: &[&'static Path]| {
        endpoints.chosen_beside(others.iter().copied()).map_err(|other| other.owner)
    };
    assert_eq!(owner(&user, &[]), Ok(own.clone()));
    assert_eq!(owner(&user, &[system, brewed]), Err(Owner::System));
    assert_eq!(owner(&user, &[brewed]), Err(Owner::Homebrew));
    let by_socket = Endpoints { socket: Some("/run/thrum/thrumd.sock".into()), ..user.clone() };
    assert_eq!(owner(&by_socket, &[system]), Err(Owner::System));
    // With sudo on a Mac.
    let root = Endpoints { root: true, managed: true, ..user.clone() };
    assert_eq!(owner(&root, &[system]), Ok(system.to_owned()));
    assert_eq!(owner(&root, &[brewed]), Err(Owner::Homebrew));
    let named = Endpoints { state_dir: Some("/tmp/a".into()), ..user.clone() };
    assert_eq!(owner(&named, &[system]), Ok("/tmp/a".into()));
    for file in ["identity.json", "key.json", "log.db"] {
        std::fs::write(own.join(file), "").unwrap();
        assert_eq!(owner(&user, &[system, brewed]), Ok(own.clone()), "{file}");
        std::fs::remove_file(own.join(file)).unwrap();
    }
}

#[test]
fn only_a_daemon_that_was_certainly_named_is_meant() {
    let own = Path::new("/home/u/.local/state/thrum");
    let by_socket = |path: &str| Endpoints { socket: Some(path.into()), ..of_user() };
    assert!(of_user().mean(own));
    assert!(!of_user().mean(Path::new("/var/lib/thrum")));
    assert!(!by_socket("/tmp/typo").mean(own));
    assert!(by_socket("/home/u/.local/state/thrum/thrumd.sock").mean(own));
    let both = Endpoints { state_dir: Some("/tmp/a".into()), ..by_socket("/tmp/s") };
    assert!(both.mean(Path::new("/tmp/a")));
    let root = Endpoints { root: true, ..by_socket("/run/thrum/thrumd.sock") };
    assert!(root.mean(Path::new("/var/lib/thrum")));
    assert!(!Endpoints { root: true, ..by_socket("/tmp/typo") }.mean(Path::new("/var/lib/thrum")));
}

#[test]
fn a_daemon_that_answers_at_its_usual_socket_listens_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let by_socket = |path: PathBuf| Endpoints { socket: Some(path), ..of_user() };
    assert_eq!(by_socket("/tmp/typo".into()).listens_elsewhere(folder.path()), None);
    let usual = folder.path().join(SOCKET);
    let _listener = std::os::unix::net::UnixListener::bind(&usual).unwrap();
    assert_eq!(by_socket("/tmp/typo".into()).listens_elsewhere(folder.path()), Some(usual.clone()));
    assert_eq!(by_socket(usual).listens_elsewhere(folder.path()), None);
    assert_eq!(of_user().listens_elsewhere(folder.path()), None);
}

#[test]
fn roots_daemon_is_the_systems() {
    let root = Endpoints { root: true, managed: true, ..of_user() };
    assert_eq!(root.candidates()[0].owner, Owner::System);
    assert_eq!(root.own_state_dir(), Path::new("/var/lib/thrum"));
    // In a container, root starts it.
    let container = Endpoints { managed: false, ..root };
    assert_eq!(container.candidates()[0].owner, Owner::User);
}

#[test]
fn the_configuration_file_names_the_endpoint_if_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("thrumd.toml");
    std::fs::write(&file, "state_dir = \"/data/thrum\"\nport = 9200\n").unwrap();
    assert_eq!(paths(&of_user().or_from_file(&file)), ["/data/thrum/thrumd.sock"]);
    std::fs::write(&file, "state_dir = \"/data/thrum\"\nsocket = \"/data/s\"\n").unwrap();
    let both = of_user().or_from_file(&file);
    assert_eq!(paths(&both), ["/data/s"]);
    assert_eq!(both.own_state_dir(), Path::new("/data/thrum"));
    let named = Endpoints { state_dir: Some("/tmp/a".into()), ..of_user() }.or_from_file(&file);
    assert_eq!(paths(&named), ["/tmp/a/thrumd.sock"]);
    for text in ["", "state_dir = 1", "not toml"] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(of_user().or_from_file(&file).candidates(), of_user().candidates(), "{text}");
    }
    assert_eq!(of_user().or_from_file(Path::new("/nowhere")).candidates(), of_user().candidates());
}
