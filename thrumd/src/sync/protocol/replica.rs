//! The interface between the protocol and a log.

use std::future::Future;

use thrum_api::local::unsigned;
use thrum_api::{DaemonId, RpcError};

use crate::log::{
    Applied, Failed, Log, LogError, LogHead, LogTransaction, News, NewsRequest, PageAnswer,
    PageRequest, Waits,
};
use crate::report::Chain;
use crate::sync::hub::Failure;

type Answer<T> = Result<T, LogError>;

/// What the protocol needs from a log; [`Log`] documents the methods. The daemon's log answers from other
/// threads, the simulation's log immediately.
pub trait ReplicaLog: Sync {
    /// The daemon whose log it is.
    fn daemon(&self) -> DaemonId;
    /// The end of the log.
    fn head(&self) -> LogHead;
    /// See [`Log::page`].
    fn page(&self, request: PageRequest) -> impl Future<Output = Answer<PageAnswer>> + Send;
    /// See [`Log::news`].
    fn news(&self, request: NewsRequest, waits: Waits)
    -> impl Future<Output = Answer<News>> + Send;
    /// See [`Log::judge`].
    fn judge<T: Send + 'static>(
        &self,
        bytes: usize,
        heads: usize,
        work: impl FnMut(&mut LogTransaction<'_, '_>) -> Result<T, Failed> + Send + 'static,
    ) -> impl Future<Output = Answer<T>> + Send;
}

impl ReplicaLog for Log {
    fn daemon(&self) -> DaemonId {
        self.daemon()
    }

    fn head(&self) -> LogHead {
        self.head()
    }

    async fn page(&self, request: PageRequest) -> Answer<PageAnswer> {
        self.page(request).await
    }

    async fn news(&self, request: NewsRequest, waits: Waits) -> Answer<News> {
        self.news(request, waits).await
    }

    async fn judge<T: Send + 'static>(
        &self,
        bytes: usize,
        heads: usize,
        work: impl FnMut(&mut LogTransaction<'_, '_>) -> Result<T, Failed> + Send + 'static,
    ) -> Answer<T> {
        self.judge(bytes, heads, work).await
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::local(Chain(&error).to_string())
    }
}

/// Adds the result of one more batch.
pub(super) fn add(total: &mut Applied, more: &Applied) {
    total.applied += more.applied;
    total.skipped += more.skipped;
    total.withheld += more.withheld;
    total.refused += more.refused;
    total.new_epoch |= more.new_epoch;
}

/// The failure of a peer that brought this many events without a valid proof.
pub(super) fn unproved(events: usize) -> Failure {
    Failure::bad_answer(format!("{}: {events}", unsigned("it")))
}

/// The answer to a peer's request when our log fails. The peer learns that it failed, not why.
pub(super) fn log_failed(method: &str, peer: DaemonId, error: &LogError) -> RpcError {
    tracing::warn!(about = %peer, journal.method = method, "{method} of {peer}: {}", Chain(error));
    let message = "the log of this daemon can't be used at the moment";
    RpcError::new(thrum_api::ErrorCode::INTERNAL, message)
}
