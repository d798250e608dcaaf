//! Receives a `sync.notify`: applies its events, and decides whether a pull is needed for the rest.

use serde::Deserialize;
use thrum_api::peer::{Notified, NotifyParams};
use thrum_api::{DaemonId, ErrorCode, EventId, Head, LogPosition, RpcError, Sequence};

use super::ReplicaLog;
use super::replica::{add, log_failed};
use super::rollback::check_heads;
use crate::log::{Applied, Batch, Incoming, LogError};
use crate::sync::hub::{Decision, Input, Notification, decide};

/// The result of a received notification.
pub struct Received {
    /// The answer. What was applied is on disk.
    pub answer: Result<Notified, RpcError>,
    /// The input for the hub.
    pub input: Option<Input>,
    /// What was applied of its events.
    pub applied: Applied,
}

/// Receives a peer's `sync.notify`.
pub async fn receive(log: &impl ReplicaLog, peer: DaemonId, mut params: NotifyParams) -> Received {
    let mut applied = Applied::default();
    if params.daemon_id != peer {
        let message = format!("daemon_id: the token is of {peer}");
        let error = RpcError::new(ErrorCode::INVALID_PARAMS, message);
        return Received { answer: Err(error), input: None, applied };
    }
    if params.removed {
        let input = Some(Input::RemovedByPeer(peer));
        return Received { answer: Ok(Notified::default()), input, applied };
    }
    let news = News::of(&mut params);
    let latest = news.latest.sequence;
    let (answer, input) = match take(log, peer, news, &mut applied).await {
        Ok((held_seq, input)) => (Ok(Notified { held_seq }), input),
        // The hub pulls once our log works again. The peer only learns that something failed.
        Err(error) => (
            Err(log_failed("sync.notify", peer, &error)),
            Input::PullNeeded { peer, latest, creators: Vec::new() },
        ),
    };
    Received { answer, input: Some(input), applied }
}

/// A parsed notification.
struct News {
    latest: LogPosition,
    after: Option<LogPosition>,
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
        let id = |bytes: &str| serde_json::from_str::<Named>(bytes).map(|named| named.event_id);
        Self {
            latest: LogPosition { sequence: params.latest_seq, event_id: params.latest_id },
            after: params
                .after_seq
                .map(|sequence| LogPosition { sequence, event_id: params.after_id }),
            heads: params.heads.take(),
            ids: events.iter().filter_map(|event| id(event.event.get()).ok()).collect(),
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

/// Follows `decide` until nothing is left to do. Returns up to where we hold the peer's log.
async fn take(
    log: &impl ReplicaLog,
    peer: DaemonId,
    mut news: News,
    total: &mut Applied,
) -> Result<(Sequence, Input), LogError> {
    let latest = news.latest.sequence;
    if let Some(heads) = &news.heads {
        check_heads(log, heads).await?;
    }
    loop {
        let from = log.checkpoint(peer).await?;
        let missing = match &news.heads {
            Some(heads) => Some(log.missing(heads.clone()).await?.origins),
            None => None,
        };
        let (events, checkpoint) =
            match decide(from.position, &news.notification(), missing.as_deref()) {
                Decision::Apply { checkpoint } => {
                    news.ids.clear();
                    (std::mem::take(&mut news.events), checkpoint)
                }
                Decision::AdvanceCheckpoint(position) => (Vec::new(), Some(position)),
                Decision::UpToDate => return Ok((latest, Input::Synced { peer, latest })),
                Decision::Pull { creators } => {
                    let input = Input::PullNeeded { peer, latest, creators };
                    return Ok((from.position.sequence, input));
                }
            };
        let applied = log.apply(Batch { peer, epoch: None, from, events, checkpoint }).await?;
        add(total, &applied);
        if checkpoint.is_some() {
            return Ok((latest, Input::Synced { peer, latest }));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use thrum_api::{Draft, OriginSequence};

    use super::*;
    use crate::ids;
    use crate::log::Log;

    fn open(dir: &tempfile::TempDir) -> Log {
        Log::open(dir.path(), ids::daemon(), false).unwrap().0
    }

    /// What a log with one event tells, with the head of another origin of which it relays an event.
    async fn notification(of: &Log) -> NotifyParams {
        let body = RawValue::from_string("{}".to_owned()).unwrap();
        let event_type = "test.happened".to_owned();
        let draft = Draft { event_id: None, event_type, project: None, body };
        of.append(vec![draft]).await.unwrap();
        let news = of.news(ids::daemon(), LogPosition::START).await.unwrap();
        let mut heads = news.heads.unwrap();
        let relayed = Head { origin_daemon: ids::daemon(), event_id: ids::event(), ..heads[0] };
        heads.push(Head { origin_sequence: OriginSequence(3), ..relayed });
        NotifyParams {
            daemon_id: of.daemon(),
            name: None,
            latest_seq: Sequence(4),
            latest_id: Some(relayed.event_id),
            after_seq: Some(Sequence::ZERO),
            after_id: None,
            heads: Some(heads),
            events: news.window,
            removed: false,
            reason: None,
            token: None,
        }
    }

    #[tokio::test]
    async fn what_a_window_leaves_out_is_pulled_and_not_confirmed() {
        let dirs = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
        let [theirs, ours] = dirs.each_ref().map(open);
        let params = notification(&theirs).await;
        let received = receive(&ours, theirs.daemon(), params).await;
        assert_eq!(received.applied.applied, 1);
        assert_eq!(received.answer.unwrap().held_seq, Sequence::ZERO);
        let needed = matches!(received.input, Some(Input::PullNeeded { latest: Sequence(4), .. }));
        assert!(needed, "{:?}", received.input);
    }

    #[tokio::test]
    async fn a_notification_that_our_log_failed_is_pulled_later() {
        let dirs = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
        let [theirs, ours] = dirs.each_ref().map(open);
        let params = notification(&theirs).await;
        ours.close().await.unwrap();
        let received = receive(&ours, theirs.daemon(), params).await;
        assert_eq!(received.answer.unwrap_err().code, ErrorCode::INTERNAL);
        let needed = matches!(received.input, Some(Input::PullNeeded { .. }));
        assert!(needed, "{:?}", received.input);
    }
}
