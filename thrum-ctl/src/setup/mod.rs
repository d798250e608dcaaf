//! How the tools of agents are set up to take part, and who an agent in a tool is.

mod check;
mod content;
mod edit;
mod files;
mod identity;
mod leftovers;
mod lock;
mod patch;
mod place;
mod plan;
mod record;
#[cfg(test)]
mod tests;
mod tool;
mod tools;
mod undo;

pub use check::{FileState, SetupCheck, check, check_with, others};
pub use content::{Part, point_name, point_title};
pub use edit::Outcome;
pub use files::{apply, check as check_writable, missing_folders, remove_empty};
pub use identity::{Identity, default_name, identity};
pub use patch::unified;
pub use place::{Homes, Scope};
pub use plan::Plan;
pub use record::{Record, Setup, lock};
pub use tool::Tool;
pub use tools::AGENTS_LINES;
pub use undo::{FileUndo, How, Undo};
