//! The Thrum service. See ARCHITECTURE.md for the modules and the path of an event through them.

pub mod admin;
pub mod agents;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod config;
pub mod ids;
pub mod log;
pub mod peer;
pub mod policy;
pub mod report;
pub mod rpc;
pub mod service;
pub mod statefile;
pub mod stop_limits;
pub mod sync;
pub mod tailnet;
