//! What a caller has open stays the caller's: no program that is started here keeps it.

use std::fs::File;
use std::process::Command;

use tests::harness::{Client, LONG, SHORT, Setup, eventually, output_within, process};

/// A command that runs `thrum` as the shell says, in a folder of its own.
fn in_shell(client: &Client, script: &str) -> Command {
    let thrum = client.command(&[]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg("sh").arg(thrum.get_program()).env_clear();
    shell.envs(thrum.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(client.folder());
    shell
}

#[test]
fn a_started_daemon_holds_neither_the_locks_nor_the_pipes_of_its_caller() {
    let daemon = Setup::new("laptop").prepare();
    let client = Client::of_socket(daemon.socket(), daemon.folder().to_owned())
        .env("THRUM_STATE_DIR", daemon.state().display())
        .env("THRUM_TAILNET", "loopback");
    let _guard = process::Guard(daemon.state().to_owned());
    // A script that runs once at a time.
    let path = client.folder().join("lock");
    let lock = File::create(&path).unwrap();
    lock.lock().unwrap();
    let script = "exec \"$1\" daemon start 9<&0";
    let started = in_shell(&client, script).stdin(lock).output().unwrap();
    assert!(started.status.success(), "{started:?}");
    // A process that another test starts holds it, too, until it executes its own program.
    eventually(SHORT, || {
        let lock = File::open(&path).unwrap();
        lock.try_lock().map_err(|error| format!("the lock of the script: {error}"))
    });
    client.run(&["daemon", "stop"]).exits(0);

    // The shell waits until nobody has the pipe any more.
    let script = "printf %s \"$( \"$1\" daemon start 3>&1 >/dev/null)\"";
    let ended = output_within(LONG, &mut in_shell(&client, script));
    client.run(&["daemon", "stop"]).exits(0);
    ended.unwrap();
}
