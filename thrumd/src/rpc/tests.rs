//! The transport on real sockets, with a fake handler in place of log and sync.

mod bad_input;
mod crowd;
mod harness;
mod life;
