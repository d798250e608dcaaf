//! Access to the page: a one-time token, which is exchanged for a bearer.
//!
//! The token comes to the browser in the fragment of the address, which browsers send to nobody. The bearer is kept by the
//! page and sent in a header. A cookie would be sent to every other port of this machine, where other programs listen.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::error::Error;

const TOKEN_BYTES: usize = 16;
const BEARER_BYTES: usize = 32;
/// How long the next attempt waits after a wrong one; twice as long after each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest of these times: a person who comes after somebody who guesses waits no longer.
const LAST_DELAY: Duration = Duration::from_secs(2);
/// How many attempts wait in line. Further ones are refused.
const LINE_MAX: usize = 8;

/// A random value that nothing prints.
pub struct Secret(SecretString);

impl Secret {
    fn random<const BYTES: usize>() -> Result<Self, Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::io("can't get random bytes", error.into()))?;
        Ok(Self(HEXLOWER.encode(&bytes).into()))
    }

    /// The value, for the person's browser.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    fn matches(&self, given: &str) -> bool {
        self.expose().as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Who may use the page.
#[derive(Debug)]
pub struct Access {
    token: Secret,
    bearer: Secret,
    attempts: Mutex<Attempts>,
    line: Semaphore,
    used: CancellationToken,
}

#[derive(Debug)]
struct Attempts {
    wrong: u32,
    /// When the next one is looked at.
    next: Instant,
}

/// What became of a token that was given.
#[derive(Debug, PartialEq, Eq)]
pub enum Exchange {
    /// It was right, and is used up now.
    Accepted,
    /// It is wrong, or was used before.
    Wrong,
    /// Too many attempts wait already.
    Busy,
}

impl Access {
    /// Access with a new token.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            token: Secret::random::<TOKEN_BYTES>()?,
            bearer: Secret::random::<BEARER_BYTES>()?,
            attempts: Mutex::new(Attempts { wrong: 0, next: Instant::now() }),
            line: Semaphore::new(LINE_MAX),
            used: CancellationToken::new(),
        })
    }

    /// The token, for the address of the page.
    pub const fn token(&self) -> &Secret {
        &self.token
    }

    /// The bearer, for who has exchanged the token.
    pub const fn bearer(&self) -> &Secret {
        &self.bearer
    }

    /// Exchanges the token. Attempts are looked at one after the other, and after a wrong one the next waits: also if its
    /// caller doesn't.
    pub async fn exchange(&self, given: &str) -> Exchange {
        let Ok(_place) = self.line.try_acquire() else { return Exchange::Busy };
        let mut attempts = self.attempts.lock().await;
        sleep_until(attempts.next).await;
        if self.token.matches(given) && !self.used.is_cancelled() {
            self.used.cancel();
            return Exchange::Accepted;
        }
        let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(attempts.wrong));
        attempts.wrong = attempts.wrong.saturating_add(1);
        attempts.next = Instant::now() + delay.min(LAST_DELAY);
        Exchange::Wrong
    }

    /// Returns when the token was exchanged.
    pub async fn used(&self) {
        self.used.cancelled().await;
    }

    /// Whether a request has the bearer.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        given
            .and_then(|given| given.strip_prefix("Bearer "))
            .is_some_and(|it| self.bearer.matches(it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_exchanged_once() {
        let access = Access::new().unwrap();
        let token = access.token().expose().to_owned();
        assert_eq!((token.len(), access.bearer().expose().len()), (32, 64));
        assert_eq!(access.exchange("").await, Exchange::Wrong);
        assert_eq!(access.exchange(access.bearer().expose()).await, Exchange::Wrong);
        assert_eq!(access.exchange(&token).await, Exchange::Accepted);
        access.used().await;
        assert_eq!(access.exchange(&token).await, Exchange::Wrong);
        assert!(!format!("{access:?}").contains(&token));
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_tokens_are_looked_at_ever_more_rarely_also_if_their_callers_leave() {
        let access = Access::new().unwrap();
        let begin = Instant::now();
        for _ in 0..8 {
            assert_eq!(access.exchange("wrong").await, Exchange::Wrong);
        }
        // 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 2 + 2
        assert_eq!(begin.elapsed().as_millis() / 100, 71);
        let begin = Instant::now();
        for _ in 0..50 {
            let left =
                tokio::time::timeout(Duration::from_millis(10), access.exchange("wrong")).await;
            assert!(left.is_err() || begin.elapsed() >= LAST_DELAY, "{:?}", begin.elapsed());
        }
        let token = access.token().expose().to_owned();
        assert_eq!(access.exchange(&token).await, Exchange::Accepted);
    }

    #[tokio::test(start_paused = true)]
    async fn few_attempts_wait_in_line() {
        let access = Access::new().unwrap();
        // After it, each of them waits.
        assert_eq!(access.exchange("wrong").await, Exchange::Wrong);
        let attempts: Vec<_> = (0..LINE_MAX + 3).map(|_| access.exchange("wrong")).collect();
        let mut all = futures_util::future::join_all(attempts).await;
        let busy = all.extract_if(.., |it| *it == Exchange::Busy).count();
        assert_eq!((busy, all.len()), (3, LINE_MAX));
    }
}
