//! The daemon as a process: start and stop in a fixed order, readiness, signals, logging.

mod error;
mod logging;
mod readiness;
mod reload;
mod reset;
mod signals;
mod start;
mod stop;

pub use error::ServiceError;
pub use logging::{log_to_stderr, to_journal};
pub use reload::{Reload, Reread};
pub use reset::reset_identity;
pub use start::Daemon;
pub use stop::die_of_panics;

use crate::admin::LocalSocket;
use crate::config::Config;

/// Blocking calls (name look-ups, small files) at once. Each costs a thread while it lasts.
const BLOCKING_THREADS_MAX: usize = 8;

/// Runs the daemon until a signal or a local program stops it.
///
/// # Errors
/// When it could not start. Nothing is left open then.
pub fn run(config: Config, reload: Reload) -> Result<(), ServiceError> {
    // What we make is for us alone; the socket's group is given its right where it is bound.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Before there are threads: taking it over changes the environment.
    let socket = LocalSocket::inherited(&config.socket)?;
    // One worker: what takes long has threads of its own, and a second one would mostly be woken to
    // find nothing to do, which an append feels.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("thrumd")
        .enable_all()
        .build()
        .map_err(ServiceError::Runtime)?;
    reload.warn_of_open_secret();
    let ended = runtime.block_on(async {
        let daemon = Daemon::start_with(config, socket).await?;
        signals::listen(daemon.stopper(), reload)?;
        daemon.run().await;
        Ok(())
    });
    // A look-up that the system doesn't answer must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    ended
}
