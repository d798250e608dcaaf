//! Each rule of docs/protocol.md, "When a daemon calls", literally.

mod bad_answers;
mod confirming;
mod drain;
pub(in crate::sync) mod harness;
mod links;
mod many;
mod news;
mod probes;
