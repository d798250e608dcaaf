//! Watches how far the views of the daemon are while a call waits for them, and shows it.

use std::time::Duration;

use thrum_api::Method as _;
use thrum_api::local::{
    AgentList, GroupList, MessageFind, MessageInbox, MessageMarkRead, MessageSearch, MessageSent,
    MessageThread, MessageWait, StatusResult,
};
use tokio::time::sleep;

use crate::printer::ViewsProgress;

/// The methods that wait until the views have read the log.
const METHODS: [&str; 9] = [
    MessageInbox::NAME,
    MessageWait::NAME,
    MessageMarkRead::NAME,
    MessageFind::NAME,
    MessageThread::NAME,
    MessageSent::NAME,
    MessageSearch::NAME,
    AgentList::NAME,
    GroupList::NAME,
];

/// How long a call may take before the daemon is asked why.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks while the views are behind.
const INTERVAL: Duration = Duration::from_millis(500);

/// Whether this method waits for the views.
pub fn waits_for_views(method: &str) -> bool {
    METHODS.contains(&method)
}

/// Waits for a call that waits for the views. If they are behind, shows how far they are.
pub async fn over<T, F: Future<Output = Option<StatusResult>>>(
    progress: &ViewsProgress,
    call: impl Future<Output = T>,
    status: impl FnMut() -> F,
) -> T {
    let watch = async {
        sleep(PATIENCE).await;
        let mut shown = progress.begin();
        follow(INTERVAL, status, |read, head| shown.show(read, head)).await;
        drop(shown);
        // `wait` may go on for hours, because no message comes.
        std::future::pending().await
    };
    tokio::select! {
        biased;
        answer = call => answer,
        never = watch => never,
    }
}

/// Shows how far the views are until they have what the log had at the first look, or `show` needs no more.
async fn follow<F: Future<Output = Option<StatusResult>>>(
    interval: Duration,
    mut status: impl FnMut() -> F,
    mut show: impl FnMut(u64, u64) -> bool,
) {
    let mut goal = None;
    while let Some(status) = status().await {
        let goal = *goal.get_or_insert(status.log.head_seq.0);
        if let Some(read) = status.views.read_seq
            && (read.0 >= goal || !show(read.0, goal))
        {
            return;
        }
        sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use thrum_api::Sequence;

    use super::*;

    fn status(read: Option<u64>, head: u64) -> StatusResult {
        let mut status = crate::render::status::example();
        status.views.read_seq = read.map(Sequence);
        status.log.head_seq = Sequence(head);
        status
    }

    /// What is shown while the daemon gives these answers, and how many of them were left.
    async fn shown(answers: &[(Option<u64>, u64)], once: bool) -> (Vec<(u64, u64)>, usize) {
        let mut answers = answers.iter();
        let mut shown = Vec::new();
        let asked = || {
            let answer = answers.next();
            std::future::ready(answer.map(|(read, head)| status(*read, *head)))
        };
        follow(Duration::ZERO, asked, |read, head| {
            shown.push((read, head));
            !once
        })
        .await;
        (shown, answers.len())
    }

    #[tokio::test]
    async fn views_are_followed_until_they_have_what_the_call_waits_for() {
        let growing = [(None, 20), (Some(5), 21), (Some(15), 22), (Some(20), 23), (Some(21), 24)];
        assert_eq!(shown(&growing, false).await, (vec![(5, 20), (15, 20)], 1));
        assert_eq!(shown(&growing, true).await, (vec![(5, 20)], 3), "a line is written once");
        assert_eq!(shown(&[(Some(7), 7), (Some(7), 9)], false).await, (vec![], 1), "not behind");
        assert_eq!(shown(&[(Some(1), 9)], false).await, (vec![(1, 9)], 0), "no answer");
    }
}
