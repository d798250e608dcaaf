//! Alerts, the dashboard and `/metrics`, with the real Prometheus: what docs/monitoring.md promises.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a failure is a panic that says what happened"
)]

mod exposition;
mod expressions;
mod files;
mod prometheus;
mod promql;
mod rules;
mod scraped;

/// A file that is no module is a test that never runs.
#[test]
fn every_file_here_is_a_module() {
    tests::harness::every_file_is_a_module("tests/monitoring");
}
