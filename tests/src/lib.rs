//! What the tests of the whole system stand on.
//!
//! [`harness`] starts real daemons and clients and talks to them. [`tailnet`] puts a real tailnet under
//! them, offline.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this is test code: a failure is a panic that says what happened"
)]

pub mod bench;
pub mod harness;
#[cfg(target_os = "linux")]
pub mod tailnet;
