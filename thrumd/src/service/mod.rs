//! The daemon as a process: start and stop in a fixed order, readiness, signals, logging.

mod error;
mod logging;
mod owner;
mod path_walk;
mod readiness;
mod reload;
mod reset;
mod restore;
mod run;
mod shutdown;
mod signals;
mod start;
mod state_dir;

pub(crate) use error::ServiceError;
pub use logging::{log_to_stderr, to_journal};
pub use reload::{Reload, Reread};
pub use reset::reset_identity;
pub use restore::{plan_restore, restore};
pub use run::run;
pub use shutdown::exit_on_panic;
pub(crate) use start::Daemon;
