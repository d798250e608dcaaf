//! Real tools of agents with Thrum in them, as `thrum init` set it up. Needs Linux, root and npm; skips with the reason
//! otherwise.
//!
//! Claude Code and Codex are part of `tests/run`; the others are run by `tests/tools/run all`.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this is test code: a failure is a panic that says what happened"
)]

mod clients;
mod endless;
mod session;
mod shown;
mod undo;
mod waking;

/// A file that is no module is a test that never runs.
#[test]
fn every_file_here_is_a_module() {
    tests::harness::every_file_is_a_module("tests/tools");
}
