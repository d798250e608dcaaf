//! Stops the daemon in a fixed order, within limits; or at once after a panic.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::readiness;
use crate::admin::AdminContext;
use crate::report::Chain;

/// The longest time from the request to stop to the end of the process.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How long the end of a private tailscaled may take: it logs out, which needs the control server.
/// With the rest, below the 10 s after which systemd kills.
const TAILNET_LIMIT: Duration = Duration::from_millis(4500);
/// Exit code after a panic: "internal software error" of sysexits.h.
const PANIC_EXIT_CODE: i32 = 70;

/// Ends new requests, then peers, then the views, and the log last: it writes what was queued. A
/// private tailscaled ends beside the last two, which don't need it.
pub async fn run(context: &AdminContext, serving: JoinHandle<()>) {
    readiness::stopping();
    let end = Instant::now() + STOP_LIMIT;
    let before = |millis| end - Duration::from_millis(millis);
    step("local programs", before(4000), async { drop(serving.await) }).await;
    step("peers", before(500), context.network.close()).await;
    let tailnet = step("the tailnet", Instant::now() + TAILNET_LIMIT, context.network.leave());
    let log = async {
        step("messages and agents", before(250), context.agents.close()).await;
        step("the log", end, async {
            if let Err(error) = context.log.close().await {
                tracing::error!("the log was not closed cleanly: {}", Chain(&error));
            }
        })
        .await;
    };
    tokio::join!(tailnet, log);
    tracing::info!("stopped");
}

async fn step(what: &str, until: Instant, work: impl Future<Output = ()>) {
    if timeout_at(until, work).await.is_err() {
        tracing::warn!("{what}: did not end in time, going on");
    }
}

/// From now on a panic in any thread or task ends the process with an error, so that the service
/// manager restarts it. A daemon with a dead part would look healthy.
pub fn exit_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("internal error, thrumd ends: {panic}");
        #[expect(clippy::exit, reason = "a daemon with a dead part must not go on")]
        std::process::exit(PANIC_EXIT_CODE);
    }));
}
