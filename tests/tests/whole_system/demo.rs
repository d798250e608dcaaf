//! `thrum demo --keep`: two daemons that go on, for a person to play with.

use std::process::{Command, Output};

use tests::harness::{Client, SHORT, eventually, holds, process, program};

/// Runs `thrum` in a shell that was given this line before.
fn after(line: &str, words: &[&str]) -> Output {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{line}\nexec \"$0\" \"$@\"")).arg(program("thrum")).args(words);
    shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    shell.env("THRUM_PROJECT", "test").output().unwrap()
}

#[track_caller]
fn must(line: &str, words: &[&str]) -> String {
    let ran = after(line, words);
    assert!(ran.status.success(), "{line}; thrum {}: {ran:?}", words.join(" "));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn the_daemons_of_a_demo_that_are_kept_answer_by_the_lines_it_prints() {
    // Short: paths of Unix sockets end at 107 bytes.
    let folder = tempfile::Builder::new().prefix("demo-").tempdir_in("/tmp").unwrap();
    let client = Client::of_socket("".into(), folder.path().to_owned())
        .env("TMPDIR", folder.path().display());
    let ran = client.run(&["demo", "--keep", "--events", "20", "--messages", "2"]).exits(0);
    let kept = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let names = ["laptop", "server"];
    let _guards = names.map(|name| process::Guard(kept.join(name)));
    let lines: Vec<_> =
        ran.stdout.lines().filter(|line| line.contains("THRUM_STATE_DIR")).collect();
    assert_eq!(lines.len(), 2, "{}", ran.stdout);
    let pids = [0, 1].map(|which| {
        let status = must(lines[which], &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["name"], names[which], "{status}");
        u32::try_from(status["pid"].as_u64().unwrap()).unwrap()
    });

    must(lines[0], &["send", "--as", "planner", "coder", "we go on"]);
    let heard = must(lines[1], &["wait", "--as", "coder", "--timeout", "20s"]);
    assert!(heard.contains("we go on"), "{heard}");

    assert!(ran.stderr.contains(&format!("rm -r {}", kept.display())), "{}", ran.stderr);
    for (line, pid) in lines.into_iter().zip(pids) {
        must(line, &["daemon", "stop"]);
        eventually(SHORT, || holds(!process::runs(pid), || "it still runs".to_owned()));
    }
}
