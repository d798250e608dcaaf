//! Stops the daemon in a fixed order within its limits, or at once after a panic.

use std::ffi::OsStr;
use std::future::Future;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{logging, readiness};
use crate::admin::AdminContext;
use crate::backup;
use crate::clock;
use crate::held_files::{FileChange, HeldFiles};
use crate::log;
use crate::report::Chain;
use crate::statefile::StateFile;
use crate::stop_limits::{LOCAL_REQUESTS, LOG, LOST_LOG, PEERS, TAILNET, VIEWS};

/// Exit code after a panic: "internal software error" of sysexits.h.
const PANIC_EXIT_CODE: i32 = 70;

/// Ends new requests, then peers, then the views, and the log last: it writes what was queued. A
/// private tailscaled ends beside the last two, which don't need it.
pub async fn run(context: &AdminContext, serving: JoinHandle<()>) {
    logging::end();
    readiness::stopping();
    context.agents.freeze_sessions();
    // Each deadline counts from the start: a step that is early leaves its time to the next.
    let local = Instant::now() + LOCAL_REQUESTS;
    let peers = local + PEERS;
    step("local programs", local, async { drop(serving.await) }).await;
    step("peers", peers, context.network.close()).await;
    let tailnet = step("the tailnet", Instant::now() + TAILNET, context.network.leave());
    let log = async {
        let views = async {
            tokio::join!(context.agents.close(), context.search.close());
        };
        let mut until = peers + VIEWS;
        step("messages and agents", until, views).await;
        // Before the lock is released.
        write_lost(context.log.files());
        // The writer alone sees whether its WAL was overwritten.
        until += LOG;
        step("a look at the log", until, async { drop(context.log.pulse().await) }).await;
        let limit = if context.log.files().differ() {
            readiness::keeping_log();
            until = Instant::now();
            LOST_LOG
        } else {
            LOG
        };
        let (mut copied, mut wal_is_left) = (Ok(None), false);
        until += limit;
        step("the copy of a log whose file is gone", until, async {
            copied = backup::copy_lost_log(&context.log).await;
        })
        .await;
        until += limit;
        step("the log", until, async {
            match context.log.close().await {
                Ok(is_left) => wal_is_left = is_left,
                Err(error) => {
                    tracing::error!("the log was not closed cleanly: {}", Chain(&error));
                }
            }
        })
        .await;
        let path = context.log.directory().join(log::DATABASE);
        let done = match copied {
            Ok(Some(kept)) => kept.put_in_place(wal_is_left),
            // It happened after the look.
            Ok(None) if wal_is_left => backup::keep_without_copy(&path, wal_is_left),
            Ok(None) => return,
            Err(error) => {
                tracing::error!("can't copy what {} held: {}", log::DATABASE, Chain(&error));
                backup::keep_without_copy(&path, wal_is_left)
            }
        };
        match done {
            Ok(done) => tracing::warn!("{done}"),
            Err(error) => tracing::error!("{}", Chain(&error)),
        }
    };
    tokio::join!(tailnet, log);
    tracing::info!("stopped");
}

/// Writes the small files again that a person removed meanwhile, and keeps those that were replaced or overwritten
/// beside what is there now: nobody else has the identity and the tokens.
fn write_lost(files: &HeldFiles) {
    for (path, change, contents) in files.lost_contents() {
        let (Some(directory), Some(name)) =
            (path.parent(), path.file_name().and_then(OsStr::to_str))
        else {
            continue;
        };
        let (name, done) = match change {
            FileChange::Removed => (name.to_owned(), "it had been removed"),
            _ => (format!("{name}.held-{}", clock::now().as_millis()), "another is in its place"),
        };
        let file = StateFile::new(directory, &name);
        let written = file.path().display();
        match file.write_bytes(contents.bytes()) {
            Ok(()) => tracing::warn!("what {} held is kept in {written}: {done}", path.display()),
            Err(error) => tracing::error!("can't keep {written}: {}", Chain(&error)),
        }
    }
}

async fn step(what: &str, until: Instant, work: impl Future<Output = ()>) {
    if timeout_at(until, work).await.is_err() {
        tracing::warn!("{what}: did not end in time, continuing");
    }
}

/// Makes a panic in any thread or task end the process with an error, so that the service manager restarts
/// it. Otherwise a daemon with a dead part would look healthy.
pub fn exit_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        logging::end();
        tracing::error!("internal error, thrumd ends: {panic}");
        #[expect(clippy::exit, reason = "a daemon with a dead part must not go on")]
        std::process::exit(PANIC_EXIT_CODE);
    }));
}
