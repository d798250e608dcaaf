//! The page of `thrum ui` in a real browser, with real daemons behind it. Needs Linux, root and Debian's Chromium; skips
//! with the reason otherwise.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this is test code: a failure is a panic that says what happened"
)]

mod access;
mod barriers;
mod faults;
mod hostile;
mod large;
mod live;
mod panels;
mod reading;
mod scene;
mod stale;
mod streams;
mod unsent;
mod watching;

/// A file that is no module is a test that never runs.
#[test]
fn every_file_here_is_a_module() {
    tests::harness::every_file_is_a_module("tests/page");
}
