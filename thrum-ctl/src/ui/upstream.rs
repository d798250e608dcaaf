//! Requests to thrumd for all pages: few at a time, so that many pages are no more work for it than one.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::forward::Admitted;
use super::refusal::Refusal;
use crate::client::Client;
use crate::endpoint::Endpoints;
use crate::error::Error;

/// How many requests thrumd has at a time.
const AT_ONCE: usize = 4;
/// How many of those that ask other machines it has besides.
const SLOW_AT_ONCE: usize = 2;
/// How many requests wait. Further ones are refused.
const WAITING_MAX: usize = 128;
/// How long an answer may take. Views of a large log that are made anew take some seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// The connections to thrumd.
pub struct Upstream {
    endpoints: Endpoints,
    idle: Mutex<Vec<Client>>,
    waiting: Semaphore,
    at_once: Semaphore,
    slow: Semaphore,
}

impl Upstream {
    /// Connections to the thrumd at these endpoints, made when they are needed.
    pub fn new(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            idle: Mutex::default(),
            waiting: Semaphore::new(WAITING_MAX),
            at_once: Semaphore::new(AT_ONCE),
            slow: Semaphore::new(SLOW_AT_ONCE),
        }
    }

    /// Where thrumd is.
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Passes a request on, and answers what thrumd answers.
    ///
    /// # Errors
    /// When too many wait, and when thrumd can't be reached or does not answer.
    pub async fn forward(&self, request: Admitted) -> Result<(StatusCode, Vec<u8>), Refusal> {
        let permits = if request.slow { &self.slow } else { &self.at_once };
        let asking = async {
            let mut client = match self.idle.lock().await.pop() {
                Some(client) => client,
                None => Client::find_at_once(&self.endpoints).await?,
            };
            let answer = client.forward(request.body).await?;
            self.idle.lock().await.push(client);
            Ok(answer)
        };
        self.within(permits, asking).await
    }

    /// Does work that asks other machines, in its turn.
    ///
    /// # Errors
    /// When too many wait, and those of the work.
    pub async fn slow<T>(&self, work: impl Future<Output = T>) -> Result<T, Refusal> {
        self.within(&self.slow, async { Ok(work.await) }).await
    }

    async fn within<T>(
        &self,
        permits: &Semaphore,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Refusal> {
        let Ok(_waiting) = self.waiting.try_acquire() else {
            let message = "too many requests wait for thrumd";
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
                .hint("try again in a moment, or close some pages"));
        };
        // Nobody closes it.
        let _permit = permits.acquire().await;
        match timeout(LIMIT, Box::pin(work)).await {
            Ok(answer) => answer.map_err(|error| Refusal::from(&error)),
            Err(_) => {
                let message = format!("thrumd has not answered within {} s", LIMIT.as_secs());
                Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
                    .hint("see why: thrum doctor"))
            }
        }
    }
}
