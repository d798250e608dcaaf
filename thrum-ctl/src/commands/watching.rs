//! Shows something again whenever it changes: `--watch`.

use std::time::Duration;

use serde::Serialize;
use thrum_api::local::{EventListParams, Health};
use thrum_api::method::Empty;
use tokio::time::{sleep, sleep_until, timeout};

use crate::client::Events;
use crate::context::Context;
use crate::error::Error;
use crate::printer::Printer;

/// After this time it is shown again without an event: ages grow, and that a machine can't be reached is no event.
const REFRESH: Duration = Duration::from_secs(10);
/// The same if there is no stream of events.
const REFRESH_UNTOLD: Duration = Duration::from_secs(2);
/// How long events are gathered that come one after the other, so that a burst is shown once.
const GATHER: Duration = Duration::from_millis(200);

/// Something that is watched.
pub struct Watch {
    project: Option<String>,
    events: Option<Events>,
    /// The last object that was printed as JSON.
    printed: String,
}

impl Watch {
    /// Of this project, or of all.
    pub const fn new(project: Option<String>) -> Self {
        Self { project, events: None, printed: String::new() }
    }

    /// Shows what the daemon answered: on a terminal in place of what was shown before, otherwise one JSON object a line,
    /// if it is another one.
    ///
    /// # Errors
    /// When it can't be printed; without a terminal also when there is no answer.
    pub fn show<T: Serialize>(
        &mut self,
        answer: Result<T, Error>,
        lines: impl Fn(&T) -> Vec<String>,
        indent: &str,
        printer: &mut Printer,
    ) -> Result<(), Error> {
        if printer.json() || !printer.out_is_terminal() {
            let answer = answer?;
            let text = serde_json::to_string(&answer).unwrap_or_default();
            if text != self.printed {
                printer.object(&answer)?;
                self.printed = text;
            }
            return Ok(());
        }
        printer.clear()?;
        match answer {
            Ok(answer) => lines(&answer).iter().try_for_each(|line| printer.text(line, indent)),
            // Keeps watching, because the daemon may only be restarting.
            Err(error) => printer.line(&error.to_string()),
        }
    }

    /// Waits until something may have changed.
    pub async fn changed(&mut self, context: &Context<'_>) {
        if self.events.is_none() {
            self.events = self.open(context).await.ok();
            if self.events.is_some() {
                // What happened before the stream began is not on it.
                return;
            }
            return sleep(REFRESH_UNTOLD).await;
        }
        let Some(events) = &mut self.events else { return };
        match timeout(REFRESH, events.next()).await {
            Err(_) => {}
            Ok(Ok(Some(_))) => {
                let end = tokio::time::Instant::now() + GATHER;
                loop {
                    tokio::select! {
                        biased;
                        () = sleep_until(end) => return,
                        next = events.next() => if !matches!(next, Ok(Some(_))) {
                            break;
                        },
                    }
                }
                self.events = None;
            }
            Ok(_) => self.events = None,
        }
    }

    /// A stream of the events from now on.
    async fn open(&self, context: &Context<'_>) -> Result<Events, Error> {
        let mut client = context.daemon().await?;
        let after = client.call::<Health>(&Empty {}).await?.head_seq;
        let project = self.project.clone();
        client.events(&EventListParams { after, project, ..EventListParams::default() }).await
    }
}
