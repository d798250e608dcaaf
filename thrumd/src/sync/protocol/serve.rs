//! Answers `sync.pull`.

use thrum_api::limits::PULL_MAX_EVENTS;
use thrum_api::peer::{PullPage, PullParams};
use thrum_api::{DaemonId, ErrorCode, LogPosition, RpcError};

use super::ReplicaLog;
use super::replica::log_failed;
use crate::log::{LogError, PageAnswer, PageRequest};
use crate::sync::hub::Input;

/// The answer to a peer, and the input for the hub.
type Served = (Result<PullPage, RpcError>, Option<Input>);

/// Answers a peer's `sync.pull`.
pub async fn serve(log: &impl ReplicaLog, peer: DaemonId, params: PullParams) -> Served {
    let served = answer(log, peer, params).await;
    served.unwrap_or_else(|error| (Err(log_failed("sync.pull", peer, &error)), None))
}

async fn answer(
    log: &impl ReplicaLog,
    peer: DaemonId,
    params: PullParams,
) -> Result<Served, LogError> {
    let after = params.after();
    let have = params.have.unwrap_or_default();
    let wanted = params.limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = wanted.unwrap_or(PULL_MAX_EVENTS).clamp(1, PULL_MAX_EVENTS);
    // A limit of 0 only checks that the checkpoint matches this log.
    let only_checks = wanted == Some(0);
    match log.page(PageRequest { peer, after, limit, have }).await? {
        PageAnswer::Page(page) => {
            let head_seq = page.head.sequence;
            let served = PullPage {
                runs: page.runs,
                next_seq: page.next.sequence,
                next_hash: page.next.hash,
                more_available: page.more_available,
                head_seq,
                floor_seq: page.floor,
                epoch: Some(log.head().epoch),
                held_seq: page.held,
            };
            if only_checks {
                let checked = PullPage {
                    runs: Vec::new(),
                    next_seq: after.sequence,
                    next_hash: after.hash,
                    more_available: head_seq > after.sequence,
                    held_seq: None,
                    ..served
                };
                return Ok((Ok(checked), None));
            }
            let (next, more, relayed) = (page.next, page.more_available, page.relayed);
            Ok((Ok(served), Some(Input::PageServed { peer, next, more, relayed })))
        }
        PageAnswer::OtherLog(_) => {
            let mut input = None;
            if !only_checks {
                // The peer starts again at 0, and its next `have` tells what it holds.
                let (next, more, relayed) = (LogPosition::START, true, false);
                input = Some(Input::PageServed { peer, next, more, relayed });
            }
            let head = log.head();
            let message = "this log does not hold that event at that position: start again at 0";
            let error = RpcError::new(ErrorCode::OTHER_LOG, message)
                .with("epoch", head.epoch.to_string())
                .with("head_seq", head.position.sequence.0);
            Ok((Err(error), input))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::value::RawValue;
    use thrum_api::{Draft, LogHash, OriginSequence, Sequence};

    use super::*;
    use crate::keys::SecretKey;
    use crate::log::Log;

    async fn log_of(events: usize) -> (tempfile::TempDir, Log) {
        let dir = tempfile::TempDir::new().unwrap();
        let (log, _) =
            Log::open(dir.path(), Arc::new(SecretKey::generate().unwrap()), false).unwrap();
        for _ in 0..events {
            let body = RawValue::from_string("{}".to_owned()).unwrap();
            let event_type = "test.happened".to_owned();
            let draft = Draft { event_id: None, event_type, project: None, body };
            log.append(vec![draft]).await.unwrap();
        }
        (dir, log)
    }

    #[tokio::test]
    async fn a_page_names_the_epoch_and_the_hub_learns_where_the_reader_continues() {
        let (_dir, log) = log_of(5).await;
        let params = PullParams { limit: Some(2), ..PullParams::default() };
        let (page, input) = serve(&log, crate::testing::daemon(), params).await;
        assert_eq!(page.unwrap().epoch, Some(log.head().epoch));
        let Some(Input::PageServed { next, more: true, .. }) = input else { panic!("{input:?}") };
        assert_eq!(next.sequence.0, 2);
    }

    #[tokio::test]
    async fn a_head_of_ours_that_we_never_wrote_proves_nothing_and_begins_no_epoch() {
        let (_dir, log) = log_of(2).await;
        let (before, mut have) = (log.head().epoch, log.heads(Sequence::ZERO).await.unwrap());
        have[0].origin_sequence = OriginSequence(9);
        let params = PullParams { have: Some(have), ..PullParams::default() };
        let page = serve(&log, crate::testing::daemon(), params).await.0.unwrap();
        assert_eq!(page.runs.iter().map(|run| run.events.len()).sum::<usize>(), 2);
        assert_eq!(log.head().epoch, before);
    }

    #[tokio::test]
    async fn a_checkpoint_that_is_not_of_this_log_begins_no_epoch() {
        let (_dir, log) = log_of(2).await;
        let before = log.head().epoch;
        for after_seq in [Sequence(2), Sequence(9)] {
            let after_hash = Some(LogHash(7));
            let params = PullParams { after_seq, after_hash, ..PullParams::default() };
            let (answer, input) = serve(&log, crate::testing::daemon(), params).await;
            assert_eq!(answer.unwrap_err().code, ErrorCode::OTHER_LOG);
            let Some(Input::PageServed { next: LogPosition::START, .. }) = input else {
                panic!("{input:?}");
            };
        }
        assert_eq!(log.head().epoch, before);
    }
}
