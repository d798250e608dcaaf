//! The end of a page server that nobody uses.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Counts the open pages.
#[derive(Debug, Clone)]
pub struct OpenPages(watch::Sender<Count>);

#[derive(Debug, Default)]
struct Count {
    open: usize,
    /// How many were opened so far: one that was open for a moment only counts, too.
    opened: u64,
}

/// An open page, counted until it is dropped.
#[derive(Debug)]
pub struct OpenPage(OpenPages);

impl OpenPages {
    /// No page yet.
    pub fn new() -> Self {
        Self(watch::Sender::default())
    }

    /// One more page.
    pub fn open(&self) -> OpenPage {
        self.0.send_modify(|count| {
            count.open += 1;
            count.opened += 1;
        });
        OpenPage(self.clone())
    }

    /// Returns when no page was open for this long.
    pub async fn none_for(&self, limit: Duration) {
        let mut count = self.0.subscribe();
        loop {
            // It can't be closed: the sender is here.
            let Ok(opened) = count.wait_for(|count| count.open == 0).await.map(|it| it.opened)
            else {
                return;
            };
            if timeout(limit, count.wait_for(|count| count.opened != opened)).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for OpenPage {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| count.open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_runs_while_no_page_is_open() {
        const LIMIT: Duration = Duration::from_secs(30 * 60);
        let (pages, begin) = (OpenPages::new(), Instant::now());
        let user = async {
            sleep(LIMIT / 2).await;
            let (one, two) = (pages.open(), pages.open());
            sleep(2 * LIMIT).await;
            drop(one);
            sleep(LIMIT).await;
            drop(two);
            sleep(LIMIT / 2).await;
            drop(pages.open());
            std::future::pending().await
        };
        tokio::select! {
            () = user => {}
            () = pages.none_for(LIMIT) => {}
        }
        // Half, two, one, half, and then the whole.
        assert_eq!(begin.elapsed().as_secs(), 5 * LIMIT.as_secs());
    }
}
