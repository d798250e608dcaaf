//! The messages of inboxes that match a filter, or all of them.

use std::collections::BTreeSet;

use thrum_api::Sequence;

use super::error::{AgentsError, views};
use super::filter::{self, Filter, PAGE_ROWS, ROWS_MAX};
use super::inbox::{Entry, Inbox, InboxQuery};
use super::store::Store;
use crate::log::LogReader;
use crate::log::column::uint;

impl Store {
    /// Where the oldest unread messages are that the reader wants, but for those that are not for it now.
    pub(super) fn unread_entries(
        &self,
        log: &LogReader,
        query: &InboxQuery,
        except: &BTreeSet<Sequence>,
        inboxes: &[Inbox],
    ) -> Result<Vec<Entry>, AgentsError> {
        let doing = views("read an inbox");
        let Some(filter) = &query.filter else {
            let limit = query.limit.saturating_add(except.len());
            let mut entries = self.oldest_unread_of(inboxes, 0, limit).map_err(&doing)?;
            entries.retain(|entry| !is_one_of(except, entry));
            return Ok(entries);
        };
        let begin = filter.examined();
        let mut passed = None;
        let mut free = |matching: Vec<Entry>| {
            let (others, free): (Vec<_>, Vec<_>) =
                matching.into_iter().partition(|entry| is_one_of(except, entry));
            passed = passed.or(others.first().map(|entry| entry.sequence));
            free
        };
        let (mut found, mut examined, mut rows) = (Vec::new(), begin, 0);
        let mut more = true;
        if let Some(root) = filter.conversation() {
            let places = filter::conversation(&self.connection, log, root, Some(begin))?;
            more = places.len() >= ROWS_MAX;
            examined = places.last().copied().unwrap_or(begin);
            let entries = self.delivered(inboxes, &places, false)?;
            found = free(chosen(log, filter, entries)?);
        } else {
            while more && rows < ROWS_MAX && found.len() < query.limit {
                let page = self.oldest_unread_of(inboxes, examined, PAGE_ROWS).map_err(&doing)?;
                more = page.len() >= PAGE_ROWS;
                rows += page.len();
                examined = page.last().map_or(examined, |entry| entry.sequence);
                found.extend(free(chosen(log, filter, page)?));
            }
        }
        found.truncate(query.limit);
        // One that matches stays to be found, until it is read.
        let examined = found.first().map_or(examined, |first| first.sequence - 1);
        let more = more && found.is_empty() && examined > begin;
        filter.note(examined, passed, more);
        if found.is_empty() && !more {
            filter.note_end();
        }
        Ok(found)
    }

    /// Where the newest read messages are that the reader wants, at most `room`.
    pub(super) fn read_entries(
        &self,
        log: &LogReader,
        query: &InboxQuery,
        inboxes: &[Inbox],
        room: usize,
    ) -> Result<Vec<Entry>, AgentsError> {
        let doing = views("read an inbox");
        let Some(filter) = &query.filter else {
            return self.newest_read_of(inboxes, i64::MAX, room).map_err(&doing);
        };
        let mut found = Vec::new();
        if let Some(root) = filter.conversation() {
            let mut places = filter::conversation(&self.connection, log, root, None)?;
            places.reverse();
            let entries = self.delivered(inboxes, &places, true)?;
            found = chosen(log, filter, entries)?;
        } else {
            let (mut before, mut more, mut rows) = (i64::MAX, true, 0);
            while more && rows < ROWS_MAX && found.len() < room {
                let page = self.newest_read_of(inboxes, before, PAGE_ROWS).map_err(&doing)?;
                more = page.len() >= PAGE_ROWS;
                rows += page.len();
                before = page.last().map_or(before, |entry| entry.sequence);
                found.extend(chosen(log, filter, page)?);
            }
        }
        found.truncate(room);
        Ok(found)
    }

    /// Those of these positions that are in the inboxes, unread or read, in the given order.
    fn delivered(
        &self,
        inboxes: &[Inbox],
        places: &[i64],
        read: bool,
    ) -> Result<Vec<Entry>, AgentsError> {
        let doing = views("read an inbox");
        let mut entries = Vec::new();
        for sequence in places.iter().copied() {
            for inbox in inboxes {
                let is_there = filter::is_delivered(&self.connection, inbox.id, sequence, read);
                if is_there.map_err(&doing)? {
                    entries.push(Entry { inbox: inbox.id, sequence, read });
                }
            }
        }
        Ok(entries)
    }
}

fn is_one_of(except: &BTreeSet<Sequence>, entry: &Entry) -> bool {
    except.contains(&Sequence(uint(entry.sequence)))
}

/// Those of the entries that match.
fn chosen(
    log: &LogReader,
    filter: &Filter,
    entries: Vec<Entry>,
) -> Result<Vec<Entry>, AgentsError> {
    let matching = filter::matching(log, filter, entries.iter().map(|entry| entry.sequence))?;
    let both = entries.into_iter().zip(matching);
    Ok(both.filter(|(_, matches)| *matches).map(|(entry, _)| entry).collect())
}
