//! How the tools of agents are set up to take part, and who an agent in a tool is.

mod content;
mod edit;
mod identity;
mod record;
mod tool;

pub use identity::{Identity, identity};
pub use tool::Tool;
