//! The transport on real sockets, with a double in the place of log and sync.

mod bad_input;
mod crowd;
mod lab;
mod life;
