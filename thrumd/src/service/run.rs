//! Runs the daemon: sockets and signals around [`Daemon`].

use super::{Daemon, Reload, ServiceError, signals};
use crate::admin::LocalSocket;
use crate::config::Config;
use crate::descriptors;
use crate::stop_limits;

/// How many blocking calls (reads of the log, small files, large JSON) may run at once. Each takes a thread.
const BLOCKING_THREADS_MAX: usize = 8;

/// Runs the daemon until a signal or a local program stops it.
///
/// # Errors
/// When it could not start. Nothing is left open then.
pub fn run(config: Config, reload: Reload) -> Result<(), ServiceError> {
    // New files are private; the socket gets its group permission where it is bound.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    descriptors::raise_limit();
    // Before there are threads: it changes the environment.
    let socket = LocalSocket::inherited(&config.socket)?;
    // One worker: long work has its own threads, and waking a second worker would make appends slower.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("thrumd")
        .enable_all()
        .build()
        .map_err(ServiceError::Runtime)?;
    reload.warn_of_readable_secret();
    let ended = runtime.block_on(async {
        let daemon = Daemon::start(config, socket).await?;
        signals::listen(daemon.stopper(), reload)?;
        daemon.run().await;
        Ok(())
    });
    runtime.shutdown_timeout(stop_limits::RUNTIME);
    ended
}
