//! The transport on real sockets, with a handler in the place of log and sync.

mod bad_input;
mod crowd;
mod harness;
mod life;
