//! Carries out one pull: what `Flight` says, with a page being applied while the next one is on
//! its way.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::Ordering;

use thrum_api::peer::{PeerInfoParams, PullPage, PullParams, SyncPeerInfo, SyncPull};
use thrum_api::{DaemonId, ErrorCode, Head, Place, Sequence};
use tokio::sync::SemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::client::{Bounds, ClientError};
use super::hub::{Failure, Flight, PageFacts, PullEnd, Step, Why};
use super::shared::{Shared, chain, lock};
use crate::log::{Applied, Batch, Incoming, LogError};
use crate::peer::Peer;

type Pending<'a, T> = Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>;

/// How many logs are taken over at once that are longer than a page. Each takes up two pages of memory,
/// and whoever has lost its log would have the same events come from every peer: who waits for a turn
/// asks only for what the others have not brought by then.
pub(super) const BULK: usize = 4;

/// The events of a page while they are being read.
type Reading = JoinHandle<Vec<Incoming>>;

/// A page on its way into the log.
struct Fetched {
    facts: PageFacts,
    events: Reading,
    heads: Option<Vec<Head>>,
}

async fn wait<T>(work: &mut Pending<'_, T>) -> T {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

pub(super) fn ours(error: &LogError) -> Failure {
    Failure::ours(chain(error))
}

/// A peer that was removed, or paired again, while it was asked.
pub(super) fn gone() -> Failure {
    // Nobody answered that.
    Failure::ours("it is no peer any more".to_owned())
}

/// Pulls everything that the peer has and we lack.
pub(super) async fn pull(shared: &Shared, id: DaemonId, why: Why) -> PullEnd {
    let Some(peer) = shared.registry.get(id) else {
        return PullEnd::Failed(gone());
    };
    let mut total = Applied::default();
    let mut heads = None;
    let mut end = fly(shared, &peer, &mut total, &mut heads).await;
    if let (PullEnd::Done { .. }, Some(heads)) = (&end, heads)
        && is_lacking(shared, id, heads).await
    {
        tracing::warn!("{id} holds events that it did not send: its log is read from its start");
        end = PullEnd::OtherLog;
    }
    if total.applied > 0 || total.quarantined > 0 {
        let what = if why == Why::Told { "sync.notify" } else { "sync.pull" };
        report(what, id, &total);
    }
    if why == Why::Start && matches!(end, PullEnd::Done { .. }) {
        introduce(shared, &peer).await;
    }
    end
}

/// Whether something of these heads is missing here after a pull, and reading the log from its start
/// may bring it.
async fn is_lacking(shared: &Shared, id: DaemonId, heads: Vec<Head>) -> bool {
    // What can't be looked at now is told again with the next pull.
    let Ok(missing) = shared.log.missing(heads).await else { return false };
    let mut lacking = false;
    shared.traffic(id, |traffic| match missing.origins.is_empty() {
        true => traffic.doubt.settled(),
        false => lacking = traffic.doubt.arises(Instant::now()),
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
    total: &mut Applied,
    heads: &mut Option<Vec<Head>>,
) -> PullEnd {
    let from = match shared.log.checkpoint(peer.daemon_id).await {
        Ok(from) => from,
        Err(error) => return PullEnd::Failed(ours(&error)),
    };
    let (mut flight, first) = Flight::begin(from.place, from.epoch);
    let mut fetching: Pending<'_, (Result<Fetched, PullEnd>, Option<SemaphorePermit<'_>>)> = None;
    let mut applying: Pending<'_, Result<Applied, Failure>> = None;
    let mut steps = vec![first];
    // The first page needs none: most often it is all, and a peer that doesn't answer holds up nobody.
    let (mut is_bulk, mut turn) = (false, None);
    loop {
        for step in steps {
            match step {
                Step::Fetch(after) => {
                    let taken = turn.take();
                    let fetch = async move {
                        let turn = match (is_bulk, taken) {
                            // It is never closed.
                            (true, None) => shared.bulk.acquire().await.ok(),
                            (_, taken) => taken,
                        };
                        (fetch(shared, peer, after).await, turn)
                    };
                    fetching = Some(Box::pin(fetch));
                    is_bulk = true;
                }
                Step::Apply { page, checkpoint } => {
                    let batch = Batch {
                        peer: peer.daemon_id,
                        epoch: flight.epoch(),
                        from,
                        events: Vec::new(),
                        checkpoint: Some(checkpoint),
                    };
                    applying = Some(Box::pin(apply(shared, peer, batch, page)));
                }
                Step::End(end) => return end,
            }
        }
        steps = tokio::select! {
            (page, taken) = wait(&mut fetching) => {
                (fetching, turn) = (None, taken);
                match page {
                    Ok(page) => {
                        *heads = page.heads;
                        flight.page(&page.facts, page.events)
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

async fn fetch(shared: &Shared, peer: &Peer, after: Place) -> Result<Fetched, PullEnd> {
    let have = shared.log.heads().await.map_err(|error| PullEnd::Failed(ours(&error)))?;
    if !shared.is_still(peer) {
        return Err(PullEnd::Failed(gone()));
    }
    let params = PullParams {
        after_seq: after.sequence,
        after_id: after.event_id,
        limit: lock(&shared.traffic).get(&peer.daemon_id).and_then(|it| it.page.limit()),
        have: Some(have),
        token: None,
    };
    let failed = |error: ClientError| match error.rpc() {
        Some(rpc) if rpc.code == ErrorCode::OTHER_LOG => PullEnd::OtherLog,
        _ => PullEnd::Failed(error.failure()),
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
    let facts = PageFacts {
        places,
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
