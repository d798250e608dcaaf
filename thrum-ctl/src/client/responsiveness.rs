//! Watches for an unresponsive daemon while a call waits, and tells the person once.

use std::time::Duration;

use tokio::time::sleep;

use crate::printer::Notice;

/// The pauses before each probe. They are few and growing, because many calls wait for hours, and a
/// daemon that works need not be probed forever.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// Watches whether a daemon still answers other calls while one call waits.
#[derive(Clone)]
pub struct ResponsivenessWatch {
    notice: Notice,
    hint: String,
}

impl ResponsivenessWatch {
    /// A watch that gives this notice, with this hint.
    pub fn new(notice: Notice, hint: String) -> Self {
        Self { notice, hint }
    }

    /// Waits for a call without limit. Gives the notice if the probe finds the daemon unresponsive: it was
    /// suspended, or a service manager holds the socket of one that can't start.
    pub async fn over<T, P: Future<Output = bool>>(
        &self,
        call: impl Future<Output = T>,
        is_unresponsive: impl FnMut() -> P,
    ) -> T {
        let watch = async {
            if !self.notice.is_settled() && stops_answering(&PAUSES, is_unresponsive).await {
                let message = "waiting for thrumd: its socket is open, but it does not answer";
                self.notice.give("waiting", message, &self.hint);
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            answer = call => answer,
            never = watch => never,
        }
    }
}

/// Probes after each pause until the daemon is unresponsive.
async fn stops_answering<F: Future<Output = bool>>(
    pauses: &[Duration],
    mut is_unresponsive: impl FnMut() -> F,
) -> bool {
    for pause in pauses {
        sleep(*pause).await;
        if is_unresponsive().await {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: [Duration; 4] = [Duration::from_millis(1); 4];

    #[tokio::test]
    async fn probing_ends_when_the_daemon_is_unresponsive_and_after_the_last_pause() {
        let probed = async |unresponsive_at: usize| {
            let mut probes = 0;
            let found = stops_answering(&SOON, || {
                probes += 1;
                std::future::ready(probes == unresponsive_at)
            });
            (found.await, probes)
        };
        assert_eq!(probed(1).await, (true, 1));
        assert_eq!(probed(3).await, (true, 3));
        assert_eq!(
            probed(99).await,
            (false, SOON.len()),
            "a daemon that answers is not probed forever"
        );
    }

    #[test]
    fn the_pauses_grow() {
        assert!(PAUSES.is_sorted_by(|one, next| *next >= 2 * *one), "{PAUSES:?}");
    }
}
