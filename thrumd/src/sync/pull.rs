//! Carries out one pull: what `PullPipeline` says, with a page being applied while the next one is on
//! its way.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thrum_api::peer::{PeerInfoParams, PullPage, PullParams, SyncPeerInfo, SyncPull};
use thrum_api::{DaemonId, ErrorCode, Head, Place, Sequence};
use tokio::sync::SemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::client::{Bounds, ClientError};
use super::hub::{Failure, PageHeader, PullPipeline, PullReason, PullResult, Step};
use super::shared::{Shared, chain, lock};
use crate::log::{Applied, Batch, Checkpoint, Incoming, LogError};
use crate::peer::Peer;

type Pending<'a, T> = Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>;

/// How many pages after the first of a pull are on their way at once, from all peers. They take up
/// memory, and whoever has lost its log would have the same events come from every peer: who waits for
/// its turn asks only for what the others have not brought by then.
pub(super) const BULK: usize = 4;
/// How long a pull waits for its turn: peers on slow lines, or of ill will, don't hold up the others
/// for longer.
const TURN: Duration = Duration::from_secs(30);

/// The events of a page while they are being read.
type Reading = JoinHandle<Vec<Incoming>>;

/// A page that came.
struct Fetched {
    facts: PageHeader,
    events: Reading,
    heads: Option<Vec<Head>>,
}

/// A page's turn, given back once it is on disk. None: it was not waited for, or in vain.
type Turn<'a> = Option<SemaphorePermit<'a>>;

async fn turn(shared: &Shared) -> Turn<'_> {
    // It is never closed.
    timeout(TURN, shared.bulk.acquire()).await.ok()?.ok()
}

async fn wait<T>(work: &mut Pending<'_, T>) -> T {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

pub(super) fn ours(error: &LogError) -> Failure {
    Failure::local(chain(error))
}

/// A peer that was removed, or paired again, while it was asked.
pub(super) fn gone() -> Failure {
    // Nobody answered that.
    Failure::local("it is no peer any more".to_owned())
}

/// Pulls everything that the peer has and we lack.
pub(super) async fn pull(shared: &Shared, id: DaemonId, reason: PullReason) -> PullResult {
    let Some(peer) = shared.registry.get(id) else {
        return PullResult::Failed(gone());
    };
    let mut total = Applied::default();
    let from = match shared.log.checkpoint(id).await {
        Ok(from) => from,
        Err(error) => return PullResult::Failed(ours(&error)),
    };
    let mut heads = None;
    let end = fly(shared, &peer, from, &mut total, &mut heads).await;
    if total.applied > 0 || total.quarantined > 0 {
        let what = if reason == PullReason::Notified { "sync.notify" } else { "sync.pull" };
        report(what, id, &total);
    }
    let PullResult::Done { .. } = end else { return end };
    if reason == PullReason::Startup {
        introduce(shared, &peer).await;
    }
    if from.place != Place::START
        && let Some(heads) = heads
        && is_lacking(shared, id, heads).await
    {
        tracing::warn!("{id} holds events that it did not send: its log is read from its start");
        return PullResult::OtherLog;
    }
    end
}

/// Whether something of these heads is missing here after a pull, and reading the log from its start
/// may bring it.
async fn is_lacking(shared: &Shared, id: DaemonId, heads: Vec<Head>) -> bool {
    // What can't be looked at now is told again with the next pull.
    let Ok(missing) = shared.log.missing(heads).await else { return false };
    let mut lacking = false;
    shared.traffic(id, |traffic| match missing.needs_pull {
        false => traffic.doubt.settled(),
        true => lacking = traffic.doubt.arises(Instant::now()),
    });
    lacking
}

/// The line that tells of events that came.
pub(super) fn report(what: &str, peer: DaemonId, total: &Applied) {
    let Applied { applied, skipped, .. } = total;
    tracing::info!("{what}: synced from {peer} — applied={applied} skipped={skipped}");
    if total.quarantined > 0 {
        tracing::warn!("{what}: {} events of {peer} were set aside", total.quarantined);
    }
}

/// `heads` are those that came with the last page.
async fn fly(
    shared: &Shared,
    peer: &Peer,
    from: Checkpoint,
    total: &mut Applied,
    heads: &mut Option<Vec<Head>>,
) -> PullResult {
    let (mut flight, first) = PullPipeline::begin(from.place, from.epoch);
    let mut fetching: Pending<'_, Result<(Fetched, Turn<'_>), PullResult>> = None;
    let mut applying: Pending<'_, Result<Applied, Failure>> = None;
    let mut steps = vec![first];
    // The first page needs none: most often it is all, and a peer that doesn't answer holds up nobody.
    let mut is_first = true;
    loop {
        for step in steps {
            match step {
                Step::Fetch(after) => {
                    let free = std::mem::replace(&mut is_first, false);
                    fetching = Some(Box::pin(async move {
                        let turn = if free { None } else { turn(shared).await };
                        fetch(shared, peer, after).await.map(|page| (page, turn))
                    }));
                }
                Step::Apply { page: (events, turn), checkpoint } => {
                    let batch = Batch {
                        peer: peer.daemon_id,
                        epoch: flight.epoch(),
                        from,
                        events: Vec::new(),
                        checkpoint: Some(checkpoint),
                    };
                    applying = Some(Box::pin(async move {
                        let applied = apply(shared, peer, batch, events).await;
                        drop(turn);
                        applied
                    }));
                }
                Step::End(end) => return end,
            }
        }
        steps = tokio::select! {
            page = wait(&mut fetching) => {
                fetching = None;
                match page {
                    Ok((page, turn)) => {
                        *heads = page.heads;
                        flight.page(&page.facts, (page.events, turn))
                    }
                    Err(end) => flight.refused(end),
                }
            }
            applied = wait(&mut applying) => {
                applying = None;
                match applied {
                    Ok(applied) => {
                        count(shared, peer.daemon_id, &applied);
                        total.applied += applied.applied;
                        total.skipped += applied.skipped;
                        total.quarantined += applied.quarantined;
                        flight.applied(Ok(()))
                    }
                    Err(failure) => flight.applied(Err(failure)),
                }
            }
        };
    }
}

/// Counts events that came over the wire.
pub(super) fn count(shared: &Shared, peer: DaemonId, applied: &Applied) {
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let received = number(applied.applied + applied.skipped + applied.quarantined);
    shared.counters.events_received.fetch_add(received, Ordering::Relaxed);
    shared.counters.events_duplicate.fetch_add(number(applied.skipped), Ordering::Relaxed);
    shared.traffic(peer, |traffic| traffic.events_received += received);
}

async fn fetch(shared: &Shared, peer: &Peer, after: Place) -> Result<Fetched, PullResult> {
    let have = shared.log.heads().await.map_err(|error| PullResult::Failed(ours(&error)))?;
    if !shared.is_still(peer) {
        return Err(PullResult::Failed(gone()));
    }
    let params = PullParams {
        after_seq: after.sequence,
        after_id: after.event_id,
        limit: lock(&shared.traffic).get(&peer.daemon_id).and_then(|it| it.page.limit()),
        have: Some(have),
        token: None,
    };
    let failed = |error: ClientError| match error.rpc() {
        Some(rpc) if rpc.code == ErrorCode::OTHER_LOG => PullResult::OtherLog,
        _ => PullResult::Failed(error.failure()),
    };
    let addresses = shared.locate(peer).await.map_err(failed)?;
    shared.counters.pulls_sent.fetch_add(1, Ordering::Relaxed);
    let answer = shared
        .client
        .call::<SyncPull>(&peer.name, &addresses, Some(&peer.token), &params, Bounds::PULL)
        .await
        .inspect_err(|error| {
            shared.note_refusal(peer.daemon_id, error);
            if error.broke_off() {
                shared.traffic(peer.daemon_id, |traffic| traffic.page.was_too_much());
            }
        })
        .map_err(failed)?;
    shared.traffic(peer.daemon_id, |traffic| traffic.page.came(answer.round_trip));
    shared.answered(peer, &addresses, &answer).await;
    Ok(split(answer.result))
}

/// Has the events read beside the next fetch and the page that is being written.
fn split(page: PullPage) -> Fetched {
    let places: Vec<Sequence> = page.events.iter().map(|event| event.sequence).collect();
    let next = Place { sequence: page.next_seq, event_id: page.next_id };
    let facts = PageHeader {
        sequences: places,
        next,
        more_available: page.more_available,
        head: page.head_seq,
        epoch: page.epoch,
    };
    let read = move || page.events.into_iter().map(Incoming::read).collect();
    Fetched { facts, events: tokio::task::spawn_blocking(read), heads: page.heads }
}

/// Applies a page once its events were read, unless the peer was removed meanwhile.
async fn apply(
    shared: &Shared,
    peer: &Peer,
    batch: Batch,
    page: Reading,
) -> Result<Applied, Failure> {
    let events = page.await.map_err(|_| ours(&LogError::Died { thread: "reader" }))?;
    if !shared.is_still(peer) {
        return Err(gone());
    }
    shared.log.apply(Batch { events, ..batch }).await.map_err(|error| {
        // Until there is room again, less is asked for in vain.
        shared.traffic(peer.daemon_id, |traffic| traffic.page.was_too_much());
        ours(&error)
    })
}

/// Asks a peer what it calls itself and which version it runs. Nothing depends on the answer.
async fn introduce(shared: &Shared, peer: &Peer) {
    let Ok(addresses) = shared.locate(peer).await else { return };
    let params = PeerInfoParams::default();
    let token = Some(&peer.token);
    let client = &shared.client;
    let asked =
        client.call::<SyncPeerInfo>(&peer.name, &addresses, token, &params, Bounds::SMALL).await;
    if let Ok(answer) = asked {
        shared.traffic(peer.daemon_id, |traffic| {
            traffic.round_trip = Some(answer.round_trip);
            traffic.version = Some(answer.result.version);
        });
        shared.follow_name(peer, &answer.result.name).await;
    }
}
