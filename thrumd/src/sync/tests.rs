//! Whole daemons but for the local surface, in one process: real logs, real sockets.

mod connections;
mod joining;
mod lab;
mod stranger;
mod syncing;
