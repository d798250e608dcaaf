//! Marks messages read by their reader.

use rusqlite::{Connection, OptionalExtension};

use super::broadcasts;
use super::directory::{find_inbox, project_name};
use super::error::{AgentsError, views};
use super::inbox::count_down;
use super::marks::ReadMark;
use super::store::Store;
use crate::log::FoundEvent;
use crate::log::column::int;

const PROJECT: &str = "SELECT id FROM projects WHERE name = ?1";

impl Store {
    /// Marks messages read by `agent`: all of those with the same id, whoever wrote them. Messages that it did not get or has read cost no write.
    pub(super) fn mark_read(
        &mut self,
        agent: &str,
        events: &[FoundEvent],
    ) -> Result<(), AgentsError> {
        let doing = views("mark messages read");
        let transaction = self.connection.transaction().map_err(&doing)?;
        for event in events {
            mark(&transaction, agent, event).map_err(&doing)?;
        }
        transaction.commit().map_err(&doing)
    }
}

fn mark(connection: &Connection, agent: &str, event: &FoundEvent) -> rusqlite::Result<()> {
    // An event with a name that is none was not digested.
    let Ok(project) = project_name(event.project.as_deref()) else {
        return Ok(());
    };
    let project: Option<i64> =
        connection.prepare_cached(PROJECT)?.query_row([project], |row| row.get(0)).optional()?;
    let Some(project) = project else { return Ok(()) };
    let Some(inbox) = find_inbox(connection, project, agent)? else { return Ok(()) };
    if is_read_now(connection, inbox, int(event.sequence.0))? {
        let (origin, event_id) = (event.origin.to_bytes(), event.event_id.ulid().to_bytes());
        ReadMark { agent: agent.to_owned(), origin, event_id }.store(connection)?;
    }
    Ok(())
}

/// Makes an unread message a read one. False if the inbox does not have it, or it was read before.
fn is_read_now(connection: &Connection, inbox: i64, sequence: i64) -> rusqlite::Result<bool> {
    let moved = connection
        .prepare_cached(
            "UPDATE deliveries SET read = 1 WHERE inbox = ? AND read = 0 AND sequence = ?",
        )?
        .execute([inbox, sequence])?;
    if moved > 0 {
        count_down(connection, inbox)?;
        return Ok(true);
    }
    let Some(number) = broadcasts::number(connection, sequence)? else { return Ok(false) };
    let settled = broadcasts::settle(connection, inbox, number)?;
    if settled {
        connection
            .prepare_cached("INSERT INTO deliveries (inbox, read, sequence) VALUES (?, 1, ?)")?
            .execute([inbox, sequence])?;
    }
    Ok(settled)
}
