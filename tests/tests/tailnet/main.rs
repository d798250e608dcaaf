//! A real tailnet under real daemons. Needs Linux, root and Go; skips with the reason otherwise.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this is test code: a failure is a panic that says what happened"
)]

mod bulk;
mod harness;
mod login;
mod moving;
mod outages;
mod policy;
mod private;
mod storm;
mod strangers;
mod talking;

/// A file that is no module is a test that never runs.
#[test]
fn every_file_here_is_a_module() {
    tests::harness::every_file_is_a_module("tests/tailnet");
}
