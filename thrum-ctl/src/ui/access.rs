//! Access to the page: a one-time token, which is exchanged for a bearer.
//!
//! The token comes to the browser in the fragment of the address, which browsers send to nobody. The bearer is kept by the
//! page and sent in a header. A cookie would be sent to every other port of this machine, where other programs listen.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
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
const ID_BYTES: usize = 16;
/// How long the answer to a wrong token takes after another wrong one; twice as long after each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest of these times.
const LAST_DELAY: Duration = Duration::from_secs(2);
/// How many wrong tokens wait for their answers. Further ones are refused at once.
const LINE_MAX: usize = 8;

/// A random value that nothing prints.
pub struct Secret(SecretString);

fn random<const BYTES: usize>() -> Result<String, Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::io("can't get random bytes", error.into()))?;
    Ok(HEXLOWER.encode(&bytes))
}

impl Secret {
    fn random<const BYTES: usize>() -> Result<Self, Error> {
        Ok(Self(random::<BYTES>()?.into()))
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
    id: String,
    token: Secret,
    bearer: Secret,
    /// Of wrong tokens.
    attempts: Mutex<Attempts>,
    line: Semaphore,
    /// Whether the token was exchanged: of two at once, one gets in.
    taken: AtomicBool,
    used: CancellationToken,
}

#[derive(Debug)]
struct Attempts {
    wrong: u32,
    /// When the next one is answered.
    next: Instant,
}

/// What became of a token that was given.
#[derive(Debug, PartialEq, Eq)]
pub enum Exchange {
    /// It was right, and is used up now.
    Accepted,
    /// It is wrong, or was used before.
    Wrong,
    /// It is wrong, too, and too many of them wait already.
    Busy,
}

impl Access {
    /// Access with a new token.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            id: random::<ID_BYTES>()?,
            token: Secret::random::<TOKEN_BYTES>()?,
            bearer: Secret::random::<BEARER_BYTES>()?,
            attempts: Mutex::new(Attempts { wrong: 0, next: Instant::now() }),
            line: Semaphore::new(LINE_MAX),
            taken: AtomicBool::new(false),
            used: CancellationToken::new(),
        })
    }

    /// What no other `thrum ui` has, also a later one on this port: by it, tabs find those of the same one. It is no secret
    /// that lets anybody in.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The token, for the address of the page.
    pub const fn token(&self) -> &Secret {
        &self.token
    }

    /// The bearer, for who has exchanged the token.
    pub const fn bearer(&self) -> &Secret {
        &self.bearer
    }

    /// Exchanges the token. The right one gets in at once: whoever can connect can fill the line of the wrong ones, and must
    /// not keep the person out with it. Wrong ones are answered one after the other, ever more slowly, so that guesses cost
    /// little here; that none is right is up to the length of the token.
    pub async fn exchange(&self, given: &str) -> Exchange {
        if self.token.matches(given) && !self.taken.swap(true, Ordering::AcqRel) {
            self.used.cancel();
            return Exchange::Accepted;
        }
        let Ok(_permit) = self.line.try_acquire() else { return Exchange::Busy };
        let mut attempts = self.attempts.lock().await;
        sleep_until(attempts.next).await;
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
    async fn wrong_tokens_are_answered_ever_more_slowly_also_if_their_callers_leave() {
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
    }

    #[tokio::test(start_paused = true)]
    async fn who_fills_the_line_with_wrong_tokens_keeps_nobody_out() {
        let access = Access::new().unwrap();
        // After it, each of them waits.
        assert_eq!(access.exchange("wrong").await, Exchange::Wrong);
        let begin = Instant::now();
        let attempts: Vec<_> = (0..LINE_MAX + 3).map(|_| access.exchange("wrong")).collect();
        let person = async {
            // The others are in line by now.
            tokio::task::yield_now().await;
            assert_eq!(access.exchange("wrong").await, Exchange::Busy);
            let token = access.token().expose().to_owned();
            assert_eq!(access.exchange(&token).await, Exchange::Accepted);
            assert!(begin.elapsed().is_zero(), "{:?}", begin.elapsed());
            // A second time it is one of the wrong ones.
            assert_eq!(access.exchange(&token).await, Exchange::Busy);
        };
        let (mut all, ()) = tokio::join!(futures_util::future::join_all(attempts), person);
        let busy = all.extract_if(.., |it| *it == Exchange::Busy).count();
        assert_eq!((busy, all.len()), (3, LINE_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_who_have_the_token_one_gets_in() {
        let access = Access::new().unwrap();
        let token = access.token().expose();
        let (one, other) = tokio::join!(access.exchange(token), access.exchange(token));
        assert_eq!((one, other), (Exchange::Accepted, Exchange::Wrong));
    }
}
