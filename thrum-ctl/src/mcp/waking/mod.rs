//! Waking an idle session, as the person who runs the tool: the daemon says when, and this server, a child of the tool, does
//! it. Only where the person asked for it.

mod claude;
mod codex;
mod run;
mod waker;

pub use run::{begin, failed};
pub use waker::Waker;
