//! Daemons without their local API, in one process: real logs, real sockets.

mod connections;
mod fake_peers;
mod harness;
mod joining;
mod syncing;

pub(super) use fake_peers::fake_record;
