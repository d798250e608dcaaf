//! Real tools of agents, without any network: each runs in sealed namespaces with a home of its own, against a model that the
//! test plays.
//!
//! A tool asks its model over HTTP on loopback. The test gets each question as [`Asked`], looks at what
//! the model was shown and under which role, and answers it: with a call of a tool or with a last sentence.
//! So nothing happens before the test wants it, and nothing is waited for by the clock.

mod asked;
mod desk;
mod dialect;
mod installed;
mod limit;
mod model;
mod screen;
mod tool;

pub use asked::Asked;
pub use desk::{Desk, Running};
pub use dialect::Shown;
pub use installed::{Installed, sealed_on_tailnet, sealed_with, sealed_with_programs};
pub use limit::TOOL_LIMIT;
pub use model::FakeModel;
pub use screen::Screen;
pub use tool::Tool;
