//! Tells a person once when a call waits for a daemon that does not answer anybody.

use std::time::Duration;

use tokio::time::sleep;

use crate::printer::Notice;

/// The pauses before each look. Few and growing: many calls wait for something that may take hours,
/// and a daemon that is at work need not be asked for ever whether it is.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(120),
];
/// Watches whether a daemon still answers others while a call waits for it.
#[derive(Clone)]
pub struct ResponsivenessWatch {
    notice: Notice,
    hint: String,
}

impl ResponsivenessWatch {
    /// Gives this notice, with this hint.
    pub fn new(notice: Notice, hint: String) -> Self {
        Self { notice, hint }
    }

    /// Waits for a call as long as it takes. Gives the notice if the probe finds that the daemon answers
    /// nobody: it was stopped, or the service manager holds the socket of one that can't start.
    pub async fn over<T, P: Future<Output = bool>>(
        &self,
        call: impl Future<Output = T>,
        is_unresponsive: impl FnMut() -> P,
    ) -> T {
        let watch = async {
            if !self.notice.is_settled() && stops_answering(&PAUSES, is_unresponsive).await {
                let message = "waiting for thrumd: its socket is open, but nobody answers";
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

/// Looks after each pause, until a look finds nobody.
async fn stops_answering<F: Future<Output = bool>>(
    pauses: &[Duration],
    mut look: impl FnMut() -> F,
) -> bool {
    for pause in pauses {
        sleep(*pause).await;
        if look().await {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    const SOON: [Duration; 4] = [Duration::from_millis(1); 4];

    #[test]
    fn looking_ends_when_nobody_was_there_and_after_a_few_times() {
        let looks = |silent_at: usize| {
            let mut looks = 0;
            let found = runtime().block_on(stops_answering(&SOON, || {
                looks += 1;
                std::future::ready(looks == silent_at)
            }));
            (found, looks)
        };
        assert_eq!(looks(1), (true, 1));
        assert_eq!(looks(3), (true, 3));
        assert_eq!(looks(99), (false, SOON.len()), "a daemon that answers is left alone");
    }

    #[test]
    fn the_pauses_grow() {
        assert!(PAUSES.is_sorted_by(|one, next| *next >= 2 * *one), "{PAUSES:?}");
    }
}
