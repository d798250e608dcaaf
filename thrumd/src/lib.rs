//! The Thrum service. See ARCHITECTURE.md for the modules and the path of an event through them.

pub(crate) mod admin;
pub(crate) mod agents;
pub(crate) mod backoff;
pub(crate) mod backup;
pub mod cli;
pub(crate) mod clock;
pub mod config;
pub(crate) mod database_files;
pub(crate) mod descriptors;
pub(crate) mod file_watch;
pub(crate) mod held_files;
pub mod ids;
pub mod keys;
pub(crate) mod large;
pub mod log;
pub(crate) mod log_rate_limit;
pub(crate) mod message_id;
pub(crate) mod metrics;
pub mod peer;
pub(crate) mod policy;
pub mod proof;
pub(crate) mod report;
pub(crate) mod rpc;
pub mod service;
pub(crate) mod statefile;
pub(crate) mod stop_limits;
pub mod storage;
pub mod sync;
pub mod tailnet;
#[cfg(test)]
pub(crate) mod testing;
