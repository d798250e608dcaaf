//! How much of a conversation is of one project: any message can say that it belongs to it.

use rusqlite::params;
use thrum_api::Sequence;
use thrum_api::event::EventRef;

use super::Agents;
use super::directory::project_name;
use super::error::{AgentsError, log_unread, views};
use super::filter::CONVERSATION_FROM;
use crate::log::column::{int, uint};

/// Answers that are looked at, at most: each is looked up in the log.
const COUNTED_MAX: i64 = 2000;

impl Agents {
    /// How many of the first 2,000 answers of a conversation after a position are of this project, by its checked name.
    ///
    /// # Errors
    /// When the views or the log can't be read.
    pub async fn answers_within(
        &self,
        root: EventRef,
        after: Sequence,
        project: String,
    ) -> Result<u64, AgentsError> {
        let log = self.inner.log.reader();
        self.read(move |store| {
            let (id, origin) = (root.event_id.ulid().to_bytes(), root.origin_daemon.to_bytes());
            let sequences: Vec<Sequence> = store
                .connection
                .prepare_cached(CONVERSATION_FROM)
                .and_then(|mut answers| {
                    let asked = params![id, origin, int(after.0), COUNTED_MAX];
                    answers.query_map(asked, |row| row.get(0).map(uint).map(Sequence))?.collect()
                })
                .map_err(views("count the messages of a conversation"))?;
            let mut own = 0;
            log.each_at(sequences, |_, event| {
                let named = event.map(|event| project_name(event.project));
                own += u64::from(named.and_then(Result::ok).is_some_and(|name| name == project));
                true
            })
            .map_err(log_unread)?;
            Ok(own)
        })
        .await
    }
}
