//! What the storage under a daemon does, and how each of its faults is told from the others.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::process::Stdio;

use rusqlite::Connection;
use tests::harness::{
    Client, Daemon, LONG, Ran, SHORT, Setup, Tmpfs, converge, eventually, holds, output_within,
    pair, skip,
};
use thrum_api::ErrorCode;

/// The user without rights.
const NOBODY: u32 = 65534;

/// The state of this check in `thrum doctor`.
#[track_caller]
fn doctor_state(daemon: &Daemon, id: &str) -> String {
    let json = daemon.thrum(&["doctor", "--json"]).json();
    let checks = json["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == id).expect("the check");
    check["state"].as_str().unwrap().to_owned()
}

fn send(daemon: &Daemon) -> Ran {
    Client::new(daemon).env("THRUM_AGENT", "planner").run(&["send", "coder", "hello"])
}

/// What thrumd writes when it can't start.
fn refused_start(daemon: &Daemon) -> String {
    let ended = output_within(SHORT, &mut daemon.command()).unwrap();
    assert!(!ended.status.success(), "{ended:?}");
    String::from_utf8_lossy(&ended.stderr).into_owned()
}

#[test]
fn a_locked_database_is_told_from_a_broken_disk_and_ends_with_the_lock() {
    let daemon = Daemon::start("laptop");
    send(&daemon).exits(0);
    let other = Connection::open(daemon.state().join("log.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = send(&daemon).exits(1);
    assert!(refused.stderr.contains("another program has locked"), "{}", refused.stderr);
    assert!(refused.stderr.contains("lsof "), "{}", refused.stderr);
    assert!(!refused.stderr.contains("disk"), "{}", refused.stderr);
    daemon.thrum(&["status", "--check"]).exits(6);
    assert_eq!(doctor_state(&daemon, "log_write"), "fail");

    other.execute_batch("ROLLBACK").unwrap();
    daemon.thrum(&["status", "--check"]).exits(0);
    assert_eq!(doctor_state(&daemon, "log_write"), "ok");
    send(&daemon).exits(0);
}

#[test]
fn a_disk_with_space_again_is_no_problem_even_if_nobody_writes() {
    let disk = match Tmpfs::mount(8) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let daemon = Setup::new("laptop").state_in(disk.path()).start();
    let filler = disk.fill();
    let error = eventually(SHORT, || match daemon.try_append(["x".repeat(100_000)]) {
        Ok(_) => Err("appends go on with a full disk".to_owned()),
        Err(error) => Ok(error),
    });
    assert_eq!(error.code(), Some(ErrorCode::STORAGE), "{error}");
    daemon.reports("the disk with").unwrap();
    std::fs::remove_file(filler).unwrap();
    daemon.thrum(&["status", "--check"]).exits(0);
}

#[test]
fn a_start_names_the_fault_of_the_storage_and_the_way_out() {
    let daemon = Setup::new("laptop").prepare();
    std::fs::create_dir(daemon.state()).unwrap();
    std::fs::write(daemon.state().join("log.db"), "no database at all").unwrap();
    let text = refused_start(&daemon);
    assert!(text.contains("is damaged or not a database"), "{text}");
    assert!(text.contains("thrum restore FILE"), "{text}");

    let few = ["sh", "-c", "ulimit -n \"$0\"; exec \"$@\""];
    let mut found = 0;
    for files in 5..30 {
        let daemon =
            Setup::new("laptop").through(few.iter().chain([&&*files.to_string()])).prepare();
        // Once it starts, more files change nothing.
        let mut child = daemon.command().stderr(Stdio::piped()).spawn().unwrap();
        let ended = eventually(SHORT, || match child.try_wait().unwrap() {
            Some(status) => Ok(Some(status)),
            None => holds(daemon.socket().exists(), || "no socket yet".to_owned()).map(|()| None),
        });
        if ended.is_none() {
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if ended.is_none() {
            break;
        }
        // Not where the runtime itself gets no files: it panics.
        if text.starts_with("Error: ") && text.contains("oo many") {
            found += 1;
            assert!(text.contains("LimitNOFILE="), "{files} files: {text}");
        }
    }
    assert!(found > 0, "no start ran out of files");
}

#[test]
fn a_start_on_a_full_disk_says_that_it_is_full() {
    let disk = match Tmpfs::mount(8) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    // For the first time, and with all of its files.
    for held in [false, true] {
        let mut daemon = Setup::new("laptop").state_in(disk.path()).prepare();
        if held {
            daemon.start_again();
            daemon.append(["before"]);
            daemon.stop();
        }
        let filler = disk.fill();
        let text = refused_start(&daemon);
        assert!(text.contains("full") || text.contains("No space left"), "{text}");
        assert!(text.contains("Hint: free some space"), "{text}");
        let client = Client::new(&daemon)
            .env("THRUM_STATE_DIR", daemon.state().display())
            .env("THRUM_TAILNET", "loopback");
        let ran = client.run(&["daemon", "start"]).exits(1);
        assert!(ran.stderr.contains("free some space"), "{}", ran.stderr);
        std::fs::remove_file(filler).unwrap();
    }
}

#[test]
fn a_start_on_a_read_only_file_system_says_so() {
    let disk = match Tmpfs::mount(8) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let mut daemon = Setup::new("laptop").state_in(disk.path()).start();
    daemon.stop();
    disk.make_read_only();
    let text = refused_start(&daemon);
    assert!(text.contains("read-only") || text.contains("Read-only"), "{text}");
    assert!(text.contains("Hint: see why in the kernel's messages"), "{text}");
}

#[test]
fn a_share_of_the_disk_is_kept_free_of_what_peers_send() {
    let disk = match Tmpfs::mount(40) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let laptop = Daemon::start("laptop");
    let server = Setup::new("server").state_in(disk.path()).start();
    pair(&laptop, &server);
    // The reserve is 2 MiB of 40.
    let filler = disk.fill_but(3 << 20);
    server.reports("events of peers will be refused").unwrap();
    assert_eq!(doctor_state(&server, "disk"), "warn");
    laptop.append(["still stored"]);
    converge(SHORT, &[&laptop, &server]);
    std::fs::remove_file(&filler).unwrap();

    disk.fill_but(3 << 19);
    for n in 0..20 {
        laptop.append([format!("{n} {}", "x".repeat(100_000))]);
    }
    eventually(SHORT, || server.reports("can't store the events of laptop: too little space"));
    server.reports("events of peers are refused").unwrap();
    assert_eq!(doctor_state(&server, "disk"), "fail");
    server.append(["its own messages are still written"]);
    assert_eq!(server.texts().len(), 2, "none of what the peer sends");

    std::fs::remove_file(filler).unwrap();
    assert_eq!(converge(LONG, &[&laptop, &server]), 22);
    eventually(SHORT, || {
        let checked = server.thrum(&["status", "--check"]);
        holds(checked.code == Some(0), || server.thrum(&["status"]).stdout)
    });
    assert_eq!(doctor_state(&server, "disk"), "ok");
}

#[test]
fn a_state_directory_that_others_may_change_is_refused_with_what_mends_it() {
    let mut daemon = Daemon::start("laptop");
    daemon.append(["kept"]);
    daemon.stop();
    let state = daemon.state().to_owned();
    let set = |mode| fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
    set(0o777);
    let text = refused_start(&daemon);
    assert!(text.contains("others may write to the state directory"), "{text}");
    assert!(text.contains(&format!("chmod 0700 {}", state.display())), "{text}");
    assert_eq!(doctor_state(&daemon, "state_dir"), "fail");
    set(0o700);

    let (log, aside) = (state.join("log.db"), state.join("aside"));
    fs::rename(&log, &aside).unwrap();
    symlink(&aside, &log).unwrap();
    let text = refused_start(&daemon);
    assert!(text.contains("log.db is a symbolic link"), "{text}");
    fs::rename(&aside, &log).unwrap();

    if rustix::process::geteuid().is_root() {
        chown(&state, Some(NOBODY), None).unwrap();
        let text = refused_start(&daemon);
        assert!(text.contains("belongs to the user with id 65534"), "{text}");
        assert!(text.contains("sudo chown -R 0:0"), "{text}");
        chown(&state, Some(0), None).unwrap();
    }
    daemon.start_again();
    assert_eq!(daemon.texts(), ["kept"]);
}

#[test]
fn a_reset_and_a_restore_follow_no_link_that_the_owner_of_the_directory_made() {
    let mut daemon = Daemon::start("laptop");
    daemon.thrum(&["backup", "b"]).exits(0);
    daemon.stop();
    let backup = daemon.folder().join("b").display().to_string();
    let victim = daemon.folder().join("victim");
    fs::write(&victim, "of root").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).unwrap();
    let restore = &["--restore", &backup];
    for (name, words) in [
        ("thrumd.lock", ["--reset-identity"].as_slice()),
        ("identity.json", &["--reset-identity"]),
        ("key.json", &["--reset-identity"]),
        ("peers.json", &["--reset-identity"]),
        ("thrumd.lock", restore),
        ("log.db.restoring", restore),
        ("key.json", restore),
        ("views.db", restore),
    ] {
        let (path, aside) = (daemon.state().join(name), daemon.state().join("aside"));
        let _absent = fs::rename(&path, &aside);
        symlink(&victim, &path).unwrap();
        let ended = output_within(SHORT, daemon.command().args(words)).unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(" link"), "{name}: {ended:?}");
        let mode = fs::metadata(&victim).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (fs::read_to_string(&victim).unwrap().as_str(), mode),
            ("of root", 0o644),
            "{name}"
        );
        fs::remove_file(&path).unwrap();
        let _absent = fs::rename(&aside, &path);
    }
}

#[test]
fn root_restores_and_resets_as_the_owner_of_the_directory() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can become someone else");
    }
    let mut daemon = Daemon::start("laptop");
    daemon.append(["kept"]);
    // Root's alone.
    daemon.thrum(&["backup", "b"]).exits(0);
    daemon.stop();
    let state = daemon.state().to_owned();
    for folder in [daemon.folder(), state.parent().unwrap()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let files = || fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
    let give_all = |user| {
        files().chain([state.clone()]).for_each(|path| chown(path, Some(user), Some(user)).unwrap())
    };
    give_all(NOBODY);
    let run = |words: &[&str]| {
        let mut command = daemon.command();
        output_within(SHORT, command.args(words).current_dir(daemon.folder())).unwrap()
    };
    for words in [["--restore", "b"].as_slice(), &["--reset-identity"], &["--restore", "b"]] {
        let ended = run(words);
        assert!(ended.status.success(), "{words:?}: {ended:?}");
        for path in files() {
            assert_eq!(fs::metadata(&path).unwrap().uid(), NOBODY, "{words:?}: {}", path.display());
        }
    }
    let refused = |words: &[&str], hint: &str| {
        let ended = run(&["--reset-identity"]);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains("root follows no way"), "{ended:?}");
        assert!(words.iter().all(|word| said.contains(word)) && said.contains(hint), "{said}");
    };
    let folder = state.parent().unwrap();
    chown(folder, Some(1), None).unwrap();
    refused(&["belongs to the user with id 1,", "to the one with id 65534"], "sudo -u '#65534'");
    chown(folder, Some(0), None).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    let closed = format!("sudo chmod go-w {}", folder.display());
    refused(&["where others may write (mode 0777)"], &closed);
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    // No look at the names can tell a second name of a file.
    let victim = daemon.folder().join("victim");
    fs::write(&victim, "").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(state.join("views.db"), state.join("aside")).unwrap();
    fs::hard_link(&victim, state.join("views.db")).unwrap();
    let ended = run(&["--restore", "b"]);
    assert!(!ended.status.success(), "{ended:?}");
    let meta = fs::metadata(&victim).unwrap();
    assert_eq!((meta.uid(), meta.len()), (0, 0), "{ended:?}");
    fs::rename(state.join("aside"), state.join("views.db")).unwrap();
    give_all(0);
    daemon.start_again();
    assert_eq!(daemon.texts(), ["kept"]);
}
