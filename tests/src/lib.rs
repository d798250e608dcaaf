//! What the tests of the whole system stand on.
//!
//! [`harness`] starts real daemons and clients and talks to them. [`tailnet`] puts a real tailnet under
//! them, offline. [`agent_tools`] runs real tools of agents, with a model that the test plays, [`browser`] a real
//! browser.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this is test code: a failure is a panic that says what happened"
)]

#[cfg(target_os = "linux")]
pub mod agent_tools;
pub mod bench;
#[cfg(target_os = "linux")]
pub mod browser;
pub mod harness;
#[cfg(target_os = "linux")]
pub mod tailnet;
