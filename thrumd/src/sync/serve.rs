//! What peers ask of us: pages of our log, and to hear their news.

use std::sync::Arc;

use serde::Deserialize;
use thrum_api::limits::{HEADS_MAX, PULL_MAX_EVENTS};
use thrum_api::peer::{Notified, NotifyParams, PullPage, PullParams};
use thrum_api::{DaemonId, ErrorCode, EventId, Head, Origin, Place, RpcError, Sequence};

use super::client::known_reason;
use super::hub::{Decision, Input, Notification, decide, head_of_origin};
use super::pull::{count, report};
use super::shared::{Message, Shared, chain};
use crate::log::{Applied, Batch, Checkpoint, Incoming, LogError, PageAnswer, PageRequest};

/// Our log failed while a peer was served. The peer learns that, not why.
fn refuse(what: &str, peer: DaemonId, error: &LogError) -> RpcError {
    tracing::warn!("{what} of {peer}: {}", chain(error));
    RpcError::new(ErrorCode::INTERNAL, "the log of this daemon can't be used at the moment")
}

/// Begins a new epoch if a peer's heads show that our log was rolled back.
async fn learn_of_rollback(shared: &Shared, heads: &[Head]) -> Result<(), LogError> {
    let own = Origin { daemon: shared.log.daemon(), epoch: shared.log.head().epoch };
    let Some(head) = head_of_origin(own, heads) else { return Ok(()) };
    if shared.log.shows_rollback(head).await? {
        rolled_back(shared).await?;
    }
    Ok(())
}

async fn rolled_back(shared: &Shared) -> Result<(), LogError> {
    if shared.log.rolled_back().await? {
        tracing::warn!(
            "a peer knows more of this log than we do: it was restored from an older copy; \
             a new epoch begins, and what is missing comes back from the peers"
        );
    }
    Ok(())
}

pub(super) async fn pull(
    shared: &Arc<Shared>,
    peer: DaemonId,
    params: PullParams,
) -> Result<PullPage, RpcError> {
    let refuse = |error: LogError| refuse("sync.pull", peer, &error);
    let after = Place { sequence: params.after_seq, event_id: params.after_id };
    let mut have = params.have.unwrap_or_default();
    have.truncate(HEADS_MAX);
    learn_of_rollback(shared, &have).await.map_err(refuse)?;
    let wanted = params.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = wanted.unwrap_or(PULL_MAX_EVENTS).clamp(1, PULL_MAX_EVENTS);
    // Asked whether this is the log, not for what is in it: the caller isn't reading.
    let looks = wanted == Some(0);
    match shared.log.page(PageRequest { after, limit, have }).await.map_err(refuse)? {
        PageAnswer::Page(page) if looks => Ok(PullPage {
            events: Vec::new(),
            next_seq: after.sequence,
            next_id: after.event_id,
            more_available: page.head.sequence > after.sequence,
            head_seq: page.head.sequence,
            floor_seq: page.floor,
            epoch: Some(shared.log.head().epoch),
            heads: None,
        }),
        PageAnswer::Page(page) => {
            let (next, more) = (page.next, page.more_available);
            shared.post(Message::Input(Input::PageServed { peer, next, more }));
            Ok(PullPage {
                events: page.events,
                next_seq: page.next.sequence,
                next_id: page.next.event_id,
                more_available: page.more_available,
                head_seq: page.head.sequence,
                floor_seq: page.floor,
                epoch: Some(shared.log.head().epoch),
                heads: page.heads,
            })
        }
        PageAnswer::OtherLog(_) => {
            if !looks {
                rolled_back(shared).await.map_err(refuse)?;
                // It starts again at 0, and holds what its `have` will say.
                shared.post(Message::Input(Input::PageServed {
                    peer,
                    next: Place::START,
                    more: true,
                }));
            }
            let head = shared.log.head();
            Err(RpcError::new(
                ErrorCode::OTHER_LOG,
                "this log does not hold that event at that place: start again at 0",
            )
            .with("epoch", head.epoch.to_string())
            .with("head_seq", head.place.sequence.0))
        }
    }
}

pub(super) async fn notify(
    shared: &Arc<Shared>,
    peer: DaemonId,
    mut params: NotifyParams,
) -> Result<Notified, RpcError> {
    if params.daemon_id != peer {
        let message = format!("daemon_id: the token is of {peer}");
        return Err(RpcError::new(ErrorCode::INVALID_PARAMS, message));
    }
    if params.removed {
        let why = params.reason.as_deref().and_then(known_reason);
        shared.traffic(peer, |traffic| traffic.refusal = why);
        shared.post(Message::Input(Input::RemovedByPeer(peer)));
        return Ok(Notified::default());
    }
    if let (Some(name), Some(known)) = (&params.name, shared.registry.get(peer)) {
        shared.follow_name(&known, name).await;
    }
    let news = News::of(&mut params);
    let latest = news.latest.sequence;
    let (held, input) = take(shared, peer, news).await.map_err(|error| {
        // Pulled as soon as our log can be used again: the peer only knows that something failed.
        shared.post(Message::Input(Input::PullNeeded { peer, latest, creators: Vec::new() }));
        refuse("sync.notify", peer, &error)
    })?;
    shared.post(Message::Input(input));
    Ok(Notified { held_seq: held })
}

/// A notification taken apart.
struct News {
    latest: Place,
    after: Option<Place>,
    heads: Option<Vec<Head>>,
    ids: Vec<EventId>,
    events: Vec<Incoming>,
}

impl News {
    fn of(params: &mut NotifyParams) -> Self {
        #[derive(Deserialize)]
        struct Named {
            event_id: EventId,
        }
        let events = params.events.take().unwrap_or_default();
        let name = |bytes: &str| serde_json::from_str::<Named>(bytes).map(|named| named.event_id);
        Self {
            latest: Place { sequence: params.latest_seq, event_id: params.latest_id },
            after: params.after_seq.map(|sequence| Place { sequence, event_id: params.after_id }),
            heads: params.heads.take(),
            ids: events.iter().filter_map(|event| name(event.event.get()).ok()).collect(),
            events: events.into_iter().map(Incoming::read).collect(),
        }
    }

    fn notification(&self) -> Notification<'_> {
        Notification {
            latest: self.latest,
            after: self.after,
            window: &self.ids,
            heads: self.heads.as_deref(),
        }
    }
}

/// Does what `judge` says, until it says that nothing is left to do here. Answers up to where we
/// hold the peer's log.
async fn take(
    shared: &Shared,
    peer: DaemonId,
    mut news: News,
) -> Result<(Sequence, Input), LogError> {
    let log = &shared.log;
    let latest = news.latest.sequence;
    if let Some(heads) = &news.heads {
        learn_of_rollback(shared, heads).await?;
    }
    loop {
        let known = log.checkpoint(peer).await?;
        let missing = match &news.heads {
            Some(heads) => Some(log.missing(heads.clone()).await?.origins),
            None => None,
        };
        match decide(known.place, &news.notification(), missing.as_deref()) {
            Decision::Apply { checkpoint } => {
                news.ids.clear();
                let events = std::mem::take(&mut news.events);
                let applied = apply(shared, peer, known, events, checkpoint).await?;
                if applied.applied > 0 || applied.quarantined > 0 {
                    report("sync.notify", peer, &applied);
                }
                if checkpoint.is_some() {
                    return Ok((latest, Input::Synced { peer, latest }));
                }
            }
            Decision::AdvanceCheckpoint(place) => {
                apply(shared, peer, known, Vec::new(), Some(place)).await?;
                return Ok((latest, Input::Synced { peer, latest }));
            }
            Decision::UpToDate => return Ok((latest, Input::Synced { peer, latest })),
            Decision::Pull { creators } => {
                return Ok((known.place.sequence, Input::PullNeeded { peer, latest, creators }));
            }
        }
    }
}

async fn apply(
    shared: &Shared,
    peer: DaemonId,
    from: Checkpoint,
    events: Vec<Incoming>,
    checkpoint: Option<Place>,
) -> Result<Applied, LogError> {
    let applied = shared.log.apply(Batch { peer, epoch: None, from, events, checkpoint }).await?;
    count(shared, peer, &applied);
    Ok(applied)
}
