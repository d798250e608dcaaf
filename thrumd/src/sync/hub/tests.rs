//! Each rule of docs/protocol.md, "When a daemon calls", literally.

mod drain;
mod harness;
mod links;
mod news;
mod notification;
mod pull_pipeline;
