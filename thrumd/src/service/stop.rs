//! The end: in order and within 5 seconds (9 with a tailscaled of our own), or at once after a panic.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::readiness;
use crate::admin::Surface;
use crate::report::Chain;

/// From the wish to stop to the end of the process, at most.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// What ending a tailscaled of our own may take, from when peers are closed: it logs out, which needs
/// the control server. Below the 10 s after which systemd kills, with the rest.
const TAILNET_LIMIT: Duration = Duration::from_millis(4500);
/// Exit code after a panic: "internal software error" of sysexits.h.
const PANIC_EXIT_CODE: i32 = 70;

/// No new requests, then peers, then the views, and the log last: it writes what was queued. A
/// tailscaled of our own ends beside the last two, which don't need it.
pub async fn in_order(surface: &Surface, serving: JoinHandle<()>) {
    readiness::stopping();
    let end = Instant::now() + STOP_LIMIT;
    let before = |millis| end - Duration::from_millis(millis);
    step("local programs", before(4000), async { drop(serving.await) }).await;
    step("peers", before(500), surface.network.close()).await;
    let tailnet = step("the tailnet", Instant::now() + TAILNET_LIMIT, surface.network.leave());
    let log = async {
        step("messages and agents", before(250), surface.agents.close()).await;
        step("the log", end, async {
            if let Err(error) = surface.log.close().await {
                tracing::error!("the log did not end well: {}", Chain(&error));
            }
        })
        .await;
    };
    tokio::join!(tailnet, log);
    tracing::info!("stopped");
}

async fn step(what: &str, until: Instant, work: impl Future<Output = ()>) {
    if timeout_at(until, work).await.is_err() {
        tracing::warn!("{what}: not ended in time, going on");
    }
}

/// From now on a panic in any thread or task ends the process with an error, so that the service
/// manager starts it anew. A daemon with a dead part would look alive.
pub fn die_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("a fault in thrumd, which ends it: {panic}");
        #[expect(clippy::exit, reason = "going on with a dead part would be worse")]
        std::process::exit(PANIC_EXIT_CODE);
    }));
}
