//! Each rule of docs/protocol.md, "When a daemon calls", literally.

mod bench;
mod decisions;
mod flight;
mod links;
mod news;
mod parting;
