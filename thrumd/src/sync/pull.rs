//! Carries out one pull as `protocol::Pull` decides: a page is applied while the next one is fetched.

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use thrum_api::peer::SyncPull;
use thrum_api::{DaemonId, ErrorCode, LogPosition, Sequence};
use tokio::sync::SemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::client::{Bounds, Callee, ClientError};
use super::hub::{Failure, PullReason, PullResult};
use super::protocol::{PageHeader, Pull, Step, request, split};
use super::shared::Shared;
use crate::log::{Applied, Batch, IncomingPage, LogError};
use crate::metrics::{SyncErrorKind, SyncRequest};
use crate::peer::Peer;

type Pending<'a, T> = Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>;

/// Limit of bulk pages (pages after the first of a pull) in flight, over all peers. It bounds memory. It
/// also spares a daemon that lost its log from getting the same events from every peer: a pull that had to
/// wait for a permit requests only what is still missing.
pub(super) const BULK_PAGES: usize = 4;
/// How long a pull waits for a permit. Slow or malicious peers can't delay the others for longer.
const BULK_WAIT: Duration = Duration::from_secs(30);

/// Permit for a bulk page, returned once the page is on disk. None if none was needed, or the wait was too
/// long.
type BulkPermit<'a> = Option<SemaphorePermit<'a>>;

/// The events of a page while they are being parsed.
type ParseTask = JoinHandle<IncomingPage>;

/// A page that was fetched.
struct Fetched<'a> {
    header: PageHeader,
    events: ParseTask,
    permit: BulkPermit<'a>,
}

async fn bulk_permit(shared: &Shared) -> BulkPermit<'_> {
    // The semaphore is never closed.
    timeout(BULK_WAIT, shared.bulk.acquire()).await.ok()?.ok()
}

async fn wait<T>(work: &mut Pending<'_, T>) -> T {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

/// Pulls everything that the peer has and we lack.
pub(super) async fn pull(shared: &Shared, id: DaemonId, reason: PullReason) -> PullResult {
    let begun = Instant::now();
    let result = pull_all(shared, id, reason).await;
    match &result {
        PullResult::Done { .. } => shared.metrics.pull.observe(begun.elapsed()),
        PullResult::OtherLog => shared.metrics.pull_errors.inc(SyncErrorKind::OtherLog),
        PullResult::Failed(failure) => shared.metrics.pull_errors.inc(failure.kind.into()),
    }
    result
}

async fn pull_all(shared: &Shared, id: DaemonId, reason: PullReason) -> PullResult {
    let Some(peer) = shared.registry.get(id) else {
        return PullResult::Failed(Failure::no_peer());
    };
    let from = match shared.log.checkpoint(id).await {
        Ok(from) => from,
        Err(error) => return PullResult::Failed(error.into()),
    };
    let (mut pull, first) = Pull::begin(id, from);
    let result = run(shared, &peer, &mut pull, first).await;
    let method = if reason == PullReason::Notified { "sync.notify" } else { "sync.pull" };
    shared.log_synced(method, id, pull.total());
    let reread = |is_withheld| {
        let now = shared.now();
        let mut reread = false;
        shared.traffic(id, |traffic| reread = traffic.rereads.after_pull(is_withheld, now));
        reread
    };
    pull.finish(result, reread)
}

/// Carries out the steps of a pull until it ends.
async fn run<'a>(
    shared: &'a Shared,
    peer: &'a Peer,
    pull: &mut Pull<(ParseTask, BulkPermit<'a>)>,
    first: Step<(ParseTask, BulkPermit<'a>)>,
) -> PullResult {
    let mut fetching: Pending<'_, Result<Fetched<'_>, PullResult>> = None;
    let mut applying: Pending<'_, Result<Applied, Failure>> = None;
    let mut steps = vec![first];
    // The first page needs no permit: usually it is the only one, and a peer that doesn't answer delays no
    // other.
    let mut is_first = true;
    loop {
        for step in steps {
            match step {
                Step::Fetch(after) => {
                    let free = std::mem::replace(&mut is_first, false);
                    let since = pull.have_since();
                    fetching = Some(Box::pin(async move {
                        let permit = if free { None } else { bulk_permit(shared).await };
                        fetch(shared, peer, after, since, permit).await
                    }));
                }
                Step::Apply { page: (events, permit), checkpoint } => {
                    let batch = pull.batch(checkpoint);
                    applying = Some(Box::pin(async move {
                        let applied = apply(shared, peer, batch, events).await;
                        drop(permit);
                        applied
                    }));
                }
                Step::End(result) => return result,
            }
        }
        steps = tokio::select! {
            page = wait(&mut fetching) => {
                fetching = None;
                match page {
                    Ok(Fetched { header, events, permit }) => {
                        pull.page(header, (events, permit))
                    }
                    Err(result) => pull.refused(result),
                }
            }
            applied = wait(&mut applying) => {
                applying = None;
                if let Ok(applied) = &applied {
                    shared.count(peer.daemon_id, applied);
                }
                pull.applied(applied, shared.log.head().position.sequence)
            }
        };
    }
}

async fn fetch<'a>(
    shared: &Shared,
    peer: &Peer,
    after: LogPosition,
    have_since: Sequence,
    permit: BulkPermit<'a>,
) -> Result<Fetched<'a>, PullResult> {
    let local = |error: LogError| PullResult::Failed(error.into());
    let have = shared.log.heads(have_since).await.map_err(local)?;
    if !shared.is_still(peer) {
        return Err(PullResult::Failed(Failure::no_peer()));
    }
    let limit = shared.traffic.lock().get(&peer.daemon_id).and_then(|it| it.page.limit());
    let params = request(after, have, limit);
    let failed = |error: ClientError| match error.rpc() {
        Some(rpc) if rpc.code == ErrorCode::OTHER_LOG => PullResult::OtherLog,
        _ => PullResult::Failed(error.failure()),
    };
    let addresses = shared.locate(peer).await.map_err(failed)?;
    shared.metrics.requests.inc(SyncRequest::Pull);
    let answer = shared
        .client
        .call::<SyncPull>(Callee::Peer(peer), &addresses, &params, Bounds::PULL)
        .await
        .inspect_err(|error| {
            shared.note_refusal(peer.daemon_id, error);
            if error.broke_off() {
                shared.traffic(peer.daemon_id, |traffic| traffic.page.shrink());
            }
        })
        .map_err(failed)?;
    shared.traffic(peer.daemon_id, |traffic| traffic.page.arrived(answer.round_trip));
    shared.answered(peer, &addresses, &answer).await;
    let (header, events) = split(answer.result);
    // ParseTask runs in parallel with the next fetch and with the page that is being applied.
    let parse = move || IncomingPage::read(events);
    Ok(Fetched { header, events: tokio::task::spawn_blocking(parse), permit })
}

/// Applies a page once its events are parsed, unless the peer was removed meanwhile.
async fn apply(
    shared: &Shared,
    peer: &Peer,
    batch: Batch,
    page: ParseTask,
) -> Result<Applied, Failure> {
    let page = page.await.map_err(|_| LogError::Died { thread: "reader" })?;
    if !shared.is_still(peer) {
        return Err(Failure::no_peer());
    }
    shared.log.apply(Batch { page, ..batch }).await.map_err(|error| {
        // Smaller pages don't help while the disk is full.
        shared.traffic(peer.daemon_id, |traffic| traffic.page.shrink());
        error.into()
    })
}

/// Asks a peer for its name and version. Nothing depends on the answer.
pub(super) async fn fetch_peer_info(shared: &Shared, id: DaemonId) {
    let Some(peer) = shared.registry.get(id) else { return };
    let Ok(addresses) = shared.locate(&peer).await else { return };
    let asked = shared.peer_info(Callee::Peer(&peer), &addresses).await;
    if let Ok(answer) = asked {
        shared.traffic(peer.daemon_id, |traffic| {
            traffic.round_trip = Some(answer.round_trip);
            traffic.told_version(answer.result.version);
        });
        shared.follow_name(&peer, &answer.result.name).await;
    }
}
