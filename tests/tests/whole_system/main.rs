//! The whole system, through the real programs: what README.md and docs/protocol.md promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "this is test code: a failure is a panic that says what happened"
)]

mod backup;
mod bad_runs;
mod changes;
mod client;
mod client_reads;
mod client_words;
mod conversations;
mod dead_peers;
mod delivery;
mod demo;
mod descriptors;
mod doctor;
mod false_host;
mod faults;
mod following;
mod forged;
mod fuzz;
mod healing;
mod hook_faults;
mod hook_waking;
mod hooks;
mod hostile_agents;
mod impostor;
mod init;
mod input;
mod kept_connections;
mod keys;
mod log_floods;
mod mcp;
mod mcp_sessions;
mod mcp_waiting;
mod mcp_waking;
mod metrics;
mod metrics_listen;
mod narrow_sockets;
mod opencode_plugin;
mod outer_agents;
mod overwritten;
mod own_tailscaled;
mod pages;
mod pairing;
mod pairing_codes;
mod pairing_terminal;
mod peer_names;
mod power_cut;
mod projects;
mod proofs;
mod protocol;
mod reading;
mod refused;
#[cfg(target_os = "linux")]
mod sandbox;
mod secrets;
mod service;
mod sessions;
mod silence;
mod socket;
mod state_files;
mod storage;
mod sync;
mod ui;
mod ui_access;
mod ui_limits;
mod ui_live;
mod ui_opening;
mod unanswered;
mod views;
mod which_daemon;
mod wiped;
mod wire;

/// A file that is no module is a test that never runs.
#[test]
fn every_file_here_is_a_module() {
    tests::harness::every_file_is_a_module("tests/whole_system");
}
