//! The sandbox of an agent's tool: a filter of system calls that refuses Unix sockets, as Claude Code's and Codex's do.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use tests::harness::{Client, Daemon, Ran};

const AF_UNIX: u64 = 1;
const EPERM: u32 = 1;
#[cfg(target_arch = "x86_64")]
const SOCKET: i64 = 41;
#[cfg(not(target_arch = "x86_64"))]
const SOCKET: i64 = 198;

/// What `thrum` does where no Unix socket can be made.
fn sandboxed(client: &Client, words: &[&'static str]) -> Ran {
    let (client, words) = (client.clone(), words.to_vec());
    // The filter is for this thread alone, and for the processes that it starts.
    let run = move || {
        let unix =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, AF_UNIX).unwrap();
        let rule = SeccompRule::new(vec![unix]).unwrap();
        let filter = SeccompFilter::new(
            BTreeMap::from([(SOCKET, vec![rule])]),
            SeccompAction::Allow,
            SeccompAction::Errno(EPERM),
            std::env::consts::ARCH.try_into().unwrap(),
        );
        let program: BpfProgram = filter.unwrap().try_into().unwrap();
        apply_filter(&program).unwrap();
        client.run(&words)
    };
    std::thread::spawn(run).join().unwrap()
}

#[test]
fn a_sandbox_that_forbids_unix_sockets_has_its_own_words() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    client.run(&["status"]).exits(0);
    let ran = sandboxed(&client, &["status"]).exits(4);
    assert!(ran.stderr.contains("a sandbox of the agent's tool forbids"), "{}", ran.stderr);
    assert!(
        !ran.stderr.contains("not running") && !ran.stderr.contains("usermod"),
        "{}",
        ran.stderr
    );
    let error = sandboxed(&client, &["inbox", "--as", "coder", "--json"]).exits(4).json_error();
    assert_eq!(error["code"], "socket_sandbox", "{error}");
    assert!(error["hint"].as_str().unwrap().contains("sandbox.network"), "{error}");
    // None is started inside, which would be another one.
    sandboxed(&client, &["daemon", "start"]).exits(4);
    let report = sandboxed(&client, &["doctor", "--json"]).exits(6).json();
    let checks = report["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["state"] == "fail").collect();
    let [only] = failed[..] else { panic!("{failed:#?}") };
    assert_eq!(only["id"], "socket_sandbox");
    daemon.status();
}
