//! Begins the session of the agent that uses this server, once, and to wake it.

use std::sync::Arc;

use thrum_api::event::Reach;
use tokio::sync::OnceCell;

use super::caller::Caller;
use super::waking::{self, Waker};
use super::who::{Asker, Who};
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::setup::Tool;

/// The one agent that uses this server, as soon as it is known.
pub struct Beginning {
    asker: Asker,
    caller: OnceCell<Caller>,
}

impl Beginning {
    /// Nobody yet.
    pub fn new(asker: Asker) -> Arc<Self> {
        Arc::new(Self { asker, caller: OnceCell::new() })
    }

    /// Begins in the background, if the command line says which tool it is.
    pub fn at_start(self: &Arc<Self>) {
        if self.asker.is_named() {
            self.met(None);
        }
    }

    /// Begins in the background, with the tool that calls itself this. What is wrong is told to the call of a tool.
    pub fn met(self: &Arc<Self>, client: Option<String>) {
        if self.caller.initialized() {
            return;
        }
        let beginning = self.clone();
        drop(tokio::spawn(async move { drop(beginning.caller(client).await) }));
    }

    /// The agent. Found out now, if it is not known yet.
    ///
    /// # Errors
    /// As [`Asker::who`].
    pub async fn caller(&self, client: Option<String>) -> Result<&Caller, Error> {
        let begun = || async {
            let who = self.asker.who(client).await?;
            Ok(begin(who, self.asker.endpoints().clone()))
        };
        self.caller.get_or_try_init(begun).await
    }
}

fn begin(who: Who, endpoints: Endpoints) -> Caller {
    let waker = Waker::of(&who).unwrap_or_else(|error| {
        waking::failed(&who, &error);
        None
    });
    let reach = match (&waker, who.identity.is_set_up, who.tool) {
        (Some(_), ..) => Some(Reach::Wake),
        // Its plugin says it.
        (None, _, Tool::Opencode) => None,
        (None, is_set_up, _) => is_set_up.then_some(Reach::Hooks),
    };
    let caller = Caller::begin(who, endpoints, reach);
    if let Some(waker) = waker {
        waking::begin(caller.clone(), waker);
    }
    caller
}
