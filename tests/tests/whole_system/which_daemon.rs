//! Which daemon is meant where nobody says so, and which one is left alone.

use std::process::{Command, Output, Stdio};

use tests::harness::{OtherUser, allow, can_isolate, process, skip};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command in a mount namespace in which the machine has a system service.
fn beside_a_system_service(command: &Command) -> Output {
    let script = "mount -t tmpfs tmpfs /var/lib && mkdir -m 700 /var/lib/thrum && exec \"$@\"";
    let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(variables)
        .current_dir(command.get_current_dir().unwrap())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn files_of_a_daemon_that_nobody_named_are_left_alone_beside_a_system_service() {
    let user = match can_isolate().and_then(|()| OtherUser::new()) {
        Ok(user) => user,
        Err(reason) => return skip(&reason),
    };
    // A command that only looked has perhaps made the directory.
    assert!(user.command("mkdir").arg("-p").arg(user.state()).status().unwrap().success());
    let (restore, reset) = (["restore", "b", "--yes"], ["daemon", "reset-identity", "--yes"]);
    for (words, named) in [
        (&restore[..], "sudo thrum restore FILE"),
        (&["restore", "b", "--dry-run"], "sudo thrum restore FILE"),
        (&reset, "sudo thrum daemon reset-identity"),
    ] {
        let mut mistaken = user.thrum(words);
        mistaken.env("THRUM_SOCKET", "/run/thrum/thrumd.sock");
        for command in [user.thrum(words), mistaken] {
            let ran = beside_a_system_service(&command);
            assert_eq!(ran.status.code(), Some(2), "{words:?}: {}", stderr(&ran));
            for part in ["/var/lib/thrum", named, &user.state().display().to_string()] {
                assert!(stderr(&ran).contains(part), "{part}: {}", stderr(&ran));
            }
        }
    }
    // Who names it, or has one, means that one.
    let mut named = user.thrum(&restore);
    named.env("THRUM_STATE_DIR", user.state());
    std::fs::write(user.home().join("b"), "no backup").unwrap();
    let ran = beside_a_system_service(&named);
    assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
    assert!(stderr(&ran).contains("is not a backup"), "{}", stderr(&ran));
    std::fs::write(user.state().join("log.db"), "").unwrap();
    let ran = beside_a_system_service(&user.thrum(&restore));
    assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
}

#[test]
fn a_daemon_is_not_ended_by_the_name_of_another_socket() {
    let user = match OtherUser::new() {
        Ok(user) => user,
        Err(reason) => return skip(&reason),
    };
    let _guard = process::Guard(user.state());
    let thrum = |words: &[&str], socket: &str| {
        let mut command = user.thrum(words);
        command.env("THRUM_TAILNET", "loopback").env("THRUM_SOCKET", socket);
        command.output().unwrap()
    };
    for socket in ["", "own.sock"] {
        let started = thrum(&["daemon", "start"], socket);
        assert!(started.status.success(), "{}", stderr(&started));
        for words in [["daemon", "stop"], ["daemon", "start"]] {
            let ran = thrum(&words, "typo.sock");
            assert_eq!(ran.status.code(), Some(3), "{}", stderr(&ran));
            assert!(stderr(&ran).contains("uses another socket"), "{}", stderr(&ran));
            // Where the daemon is known to listen elsewhere, nothing is waited for.
            let waited = stderr(&ran).contains("waiting until");
            assert_eq!(waited, !socket.is_empty(), "{}", stderr(&ran));
        }
        let alive = thrum(&["status", "--json"], socket);
        assert!(alive.status.success(), "{}", stderr(&alive));
        let stopped = thrum(&["daemon", "stop"], socket);
        assert!(stopped.status.success(), "{}", stderr(&stopped));
    }
    // Without the typing error.
    let _started = thrum(&["daemon", "start"], "own.sock");
    let socket = user.home().join("own.sock");
    let folder = user.home().join("folder");
    std::fs::create_dir(&folder).unwrap();
    allow(&folder, 0o755);
    std::fs::remove_file(&socket).unwrap();
    std::fs::rename(&folder, &socket).unwrap();
    let stopped = thrum(&["daemon", "stop"], "");
    assert!(stopped.status.success(), "{}", stderr(&stopped));
}
