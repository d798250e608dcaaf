//! Messages to all: one row each. What a reader has of them is worked out when it reads.

use rusqlite::{Connection, OptionalExtension, params};

/// The range that holds a number or ends before it, and the one that begins after it.
const RANGE_BEFORE: &str = "SELECT first, last FROM settled_broadcasts
     WHERE inbox = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1";
const RANGE_FROM: &str = "SELECT last FROM settled_broadcasts WHERE inbox = ?1 AND first = ?2";
const RANGES: &str = "SELECT first, last FROM settled_broadcasts WHERE inbox = ?1 ORDER BY first";
const NUMBERED: &str = "SELECT sequence FROM broadcasts
     WHERE project = ?1 AND number BETWEEN ?2 AND ?3 ORDER BY number LIMIT ?4";
const NEWEST: &str = "SELECT sequence FROM broadcasts
     WHERE project = ?1 ORDER BY number DESC LIMIT ?2";
const PLACE: &str = "SELECT sequence FROM broadcasts WHERE project = ?1 AND number = ?2";
const LAST: &str = "SELECT broadcasts FROM projects WHERE id = ?1";
const NUMBER: &str = "SELECT number FROM broadcasts WHERE sequence = ?1";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] =
    &[RANGE_BEFORE, RANGE_FROM, RANGES, NUMBERED, NEWEST, PLACE, LAST, NUMBER];

/// Makes an inbox that of an agent of this machine: later messages to all of its project are for it. Does nothing if
/// it is one.
pub(super) fn begin(connection: &Connection, inbox: i64) -> rusqlite::Result<()> {
    let before: Option<i64> = connection
        .prepare_cached(
            "UPDATE inboxes SET was_here = 1,
               settled = (SELECT broadcasts FROM projects WHERE id = inboxes.project)
             WHERE id = ? AND settled IS NULL RETURNING settled",
        )?
        .query_row([inbox], |row| row.get(0))
        .optional()?;
    let Some(before) = before else { return Ok(()) };
    connection
        .prepare_cached(
            "UPDATE projects SET agents_here = agents_here + 1
             WHERE id = (SELECT project FROM inboxes WHERE id = ?)",
        )?
        .execute([inbox])?;
    if before > 0 {
        insert(connection, inbox, 1, before)?;
    }
    Ok(())
}

/// Makes an inbox that of no agent of this machine any more: later messages to all are not for it. Those that are unread
/// stay unread in it, a row each. Does nothing if it is none.
pub(super) fn end(connection: &Connection, inbox: i64) -> rusqlite::Result<()> {
    let project: Option<i64> = connection
        .prepare_cached("SELECT project FROM inboxes WHERE id = ? AND settled IS NOT NULL")?
        .query_row([inbox], |row| row.get(0))
        .optional()?;
    let Some(project) = project else { return Ok(()) };
    connection
        .prepare_cached("UPDATE projects SET agents_here = agents_here - 1 WHERE id = ?")?
        .execute([project])?;
    let unread = oldest_unread(connection, inbox, project, 0, usize::MAX)?;
    let mut deliver = connection
        .prepare_cached("INSERT INTO deliveries (inbox, read, sequence) VALUES (?, 0, ?)")?;
    for sequence in &unread {
        deliver.execute([inbox, *sequence])?;
    }
    let count = i64::try_from(unread.len()).unwrap_or(i64::MAX);
    connection
        .prepare_cached("UPDATE inboxes SET unread = unread + ?, settled = NULL WHERE id = ?")?
        .execute([count, inbox])?;
    connection
        .prepare_cached("DELETE FROM settled_broadcasts WHERE inbox = ?")?
        .execute([inbox])?;
    Ok(())
}

/// Adds a message to all. Answers its number in the project.
pub(super) fn add(connection: &Connection, project: i64, sequence: i64) -> rusqlite::Result<i64> {
    let number = connection
        .prepare_cached(
            "UPDATE projects SET broadcasts = broadcasts + 1 WHERE id = ? RETURNING broadcasts",
        )?
        .query_row([project], |row| row.get::<_, i64>(0))?;
    connection
        .prepare_cached("INSERT INTO broadcasts (sequence, project, number) VALUES (?, ?, ?)")?
        .execute(params![sequence, project, number])?;
    Ok(number)
}

/// The number of the message to all at this position, if there is one.
pub(super) fn number(connection: &Connection, sequence: i64) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached(NUMBER)?.query_row([sequence], |row| row.get(0)).optional()
}

/// Whether the reader has still to read this one.
pub(super) fn is_unread(
    connection: &Connection,
    inbox: i64,
    number: i64,
) -> rusqlite::Result<bool> {
    let gets_them = connection
        .prepare_cached("SELECT 1 FROM inboxes WHERE id = ? AND settled IS NOT NULL")?
        .exists([inbox])?;
    let before = range_before(connection, inbox, number)?;
    Ok(gets_them && before.is_none_or(|(_, last)| last < number))
}

/// The range of settled ones that holds this number, or the last one before it.
fn range_before(
    connection: &Connection,
    inbox: i64,
    number: i64,
) -> rusqlite::Result<Option<(i64, i64)>> {
    connection
        .prepare_cached(RANGE_BEFORE)?
        .query_row([inbox, number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Notes that the reader has not to read this one any more. False if that was so, or it gets no messages to all.
pub(super) fn settle(connection: &Connection, inbox: i64, number: i64) -> rusqlite::Result<bool> {
    let before = range_before(connection, inbox, number)?;
    if before.is_some_and(|(_, last)| last >= number) {
        return Ok(false);
    }
    let counted = connection
        .prepare_cached(
            "UPDATE inboxes SET settled = settled + 1 WHERE id = ? AND settled IS NOT NULL",
        )?
        .execute([inbox])?;
    if counted == 0 {
        return Ok(false);
    }
    let after: Option<i64> = connection
        .prepare_cached(RANGE_FROM)?
        .query_row([inbox, number + 1], |row| row.get(0))
        .optional()?;
    if after.is_some() {
        connection
            .prepare_cached("DELETE FROM settled_broadcasts WHERE inbox = ? AND first = ?")?
            .execute([inbox, number + 1])?;
    }
    let last = after.unwrap_or(number);
    match before {
        Some((first, end)) if end == number - 1 => {
            connection
                .prepare_cached(
                    "UPDATE settled_broadcasts SET last = ? WHERE inbox = ? AND first = ?",
                )?
                .execute([last, inbox, first])?;
        }
        _ => insert(connection, inbox, number, last)?,
    }
    Ok(true)
}

fn insert(connection: &Connection, inbox: i64, first: i64, last: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO settled_broadcasts (inbox, first, last) VALUES (?, ?, ?)")?
        .execute([inbox, first, last])?;
    Ok(())
}

/// Positions of the oldest unread messages to all, of those after a position. Reads a range more than there are answers at most, because between
/// two ranges is one that is unread.
pub(super) fn oldest_unread(
    connection: &Connection,
    inbox: i64,
    project: i64,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    let mut next = first_after(connection, project, after)?;
    let mut ranges = connection.prepare_cached(RANGES)?;
    let mut ranges = ranges.query([inbox])?;
    while found.len() < limit {
        let range = ranges.next()?.map(|row| Ok::<_, rusqlite::Error>((row.get(0)?, row.get(1)?)));
        let range: Option<(i64, i64)> = range.transpose()?;
        let end = range.map_or(i64::MAX, |(first, _)| first - 1);
        if next <= end {
            let room = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
            let mut numbered = connection.prepare_cached(NUMBERED)?;
            for sequence in numbered.query_map([project, next, end, room], |row| row.get(0))? {
                found.push(sequence?);
            }
        }
        match range {
            Some((_, last)) => next = next.max(last + 1),
            None => break,
        }
    }
    Ok(found)
}

/// The number of the first message to all of a project after a position. Both grow together, so that it is found by
/// halving.
fn first_after(connection: &Connection, project: i64, after: i64) -> rusqlite::Result<i64> {
    if after <= 0 {
        return Ok(1);
    }
    let last: i64 = connection.prepare_cached(LAST)?.query_row([project], |row| row.get(0))?;
    let mut place = connection.prepare_cached(PLACE)?;
    let (mut low, mut high) = (1, last + 1);
    while low < high {
        let middle = i64::midpoint(low, high);
        let at: i64 = place.query_row([project, middle], |row| row.get(0))?;
        if at > after {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

/// Positions of the newest messages to all of a project, whoever has read them.
pub(super) fn newest(
    connection: &Connection,
    project: i64,
    limit: i64,
) -> rusqlite::Result<Vec<i64>> {
    connection.prepare_cached(NEWEST)?.query_map([project, limit], |row| row.get(0))?.collect()
}
