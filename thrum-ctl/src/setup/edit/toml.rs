//! Our table in a TOML file. It is written at the end, and everything else stays as it is.

use toml_edit::{Document, Item, Table};

use super::ours::is_our_server;
use super::{Added, Known, Outcome, Removed, line_end, split_mark, without_blank_line};
use crate::setup::content::TomlTable;

/// Adds the table to a text, or gives its keys our values.
///
/// # Errors
/// Why it can't be done, in words for a person.
pub fn add(text: &str, wanted: &TomlTable) -> Result<Added, String> {
    let (mark, body) = split_mark(text);
    let end = line_end(body);
    let document = parsed(body)?;
    let (rest, outcome) = match found(&document, wanted)? {
        None => {
            let gap = match body {
                "" => "",
                _ if body.ends_with('\n') => end,
                _ => &format!("{end}{end}"),
            };
            (format!("{body}{gap}{}", written(wanted, end)), Outcome::New)
        }
        Some(table) => match changes(body, table, wanted, end)? {
            changes if changes.is_empty() => (body.to_owned(), Outcome::Present),
            changes => {
                let (begin, stop) = extent(body, table)?;
                let replaced = body[begin..stop].to_owned();
                (apply(body, changes), Outcome::Replaced(replaced))
            }
        },
    };
    // The text was put together by hand, so it is read once more.
    if !has_ours(&rest, wanted, end) || others(&rest, wanted) != others(body, wanted) {
        let name = wanted.path.join(".");
        return Err(format!("[{name}] can't be added to the way in which it is written"));
    }
    Ok(Added { text: format!("{mark}{rest}"), outcomes: vec![outcome], made: Vec::new() })
}

/// Takes the table out of a text, or puts back what was there before.
///
/// # Errors
/// Why it can't be done, in words for a person.
pub fn remove(text: &str, wanted: &TomlTable, known: Option<&Known>) -> Result<Removed, String> {
    let (mark, body) = split_mark(text);
    let document = parsed(body)?;
    let id = wanted.path.join(".");
    let kept = known.is_some_and(|it| it.kept.contains(&id));
    let Some(table) = found(&document, wanted)?.filter(|it| is_ours(it) && !kept) else {
        return Ok(Removed { text: text.to_owned(), count: 0, is_empty: false });
    };
    let (begin, stop) = extent(body, table)?;
    let replaced = known.and_then(|it| it.replaced.iter().find(|(of, _)| *of == id));
    let rest = match replaced {
        Some((_, before)) => format!("{}{before}{}", &body[..begin], &body[stop..]),
        None => {
            format!("{}{}", without_blank_line(&body[..begin]), &body[stop..])
        }
    };
    if others(&rest, wanted) != others(body, wanted) {
        return Err(format!("[{id}] can't be taken out of it: it is written in several places"));
    }
    let is_empty = rest.trim().is_empty();
    Ok(Removed { text: format!("{mark}{rest}"), count: 1, is_empty })
}

fn parsed(text: &str) -> Result<Document<&str>, String> {
    Document::parse(text).map_err(|error| {
        let place = error.span().map(|span| text[..span.start].lines().count().max(1));
        let place = place.map_or_else(String::new, |line| format!(" (line {line})"));
        format!("it is not TOML: {}{place}", error.message())
    })
}

/// Our table, if it is there.
fn found<'a>(
    document: &'a Document<&str>,
    wanted: &TomlTable,
) -> Result<Option<&'a Table>, String> {
    let [outer, name] = wanted.path;
    let item = document.as_table().get(outer).and_then(|outer| outer.get(name));
    match item {
        None | Some(Item::None) => Ok(None),
        Some(Item::Table(table)) if !table.is_dotted() && !table.is_implicit() => Ok(Some(table)),
        Some(_) => Err(format!(
            "{outer}.{name} in it is not written as a table [{outer}.{name}], which is all that thrum changes"
        )),
    }
}

fn has_ours(text: &str, wanted: &TomlTable, end: &str) -> bool {
    let Ok(document) = parsed(text) else { return false };
    let Ok(Some(table)) = found(&document, wanted) else { return false };
    changes(text, table, wanted, end).is_ok_and(|changes| changes.is_empty())
}

fn is_ours(table: &Table) -> bool {
    let program = table.get("command").and_then(Item::as_str);
    let args = table.get("args").and_then(Item::as_array);
    let args = args.map(|args| args.iter().filter_map(|arg| arg.as_str()).collect::<Vec<_>>());
    is_our_server(&serde_json::json!({ "command": program, "args": args }))
}

fn written(table: &TomlTable, end: &str) -> String {
    let mut text = format!("[{}]{end}", table.path.join("."));
    for (key, value) in &table.values {
        text.push_str(&format!("{key} = {value}{end}"));
    }
    text
}

/// What has to be written where, so that the table has our values: places in the text and what goes there.
fn changes(
    text: &str,
    table: &Table,
    wanted: &TomlTable,
    end: &str,
) -> Result<Vec<(usize, usize, String)>, String> {
    let (_, stop) = extent_of_own(text, table)?;
    let mut gap = if text[..stop].ends_with('\n') { "" } else { end };
    let mut changes = Vec::new();
    for (key, value) in &wanted.values {
        let Some(there) = table.get(key) else {
            changes.push((stop, stop, format!("{gap}{key} = {value}{end}")));
            gap = "";
            continue;
        };
        let span = there.span().ok_or("a value in it has no place")?;
        if plain(&text[span.clone()]) != plain(value) {
            changes.push((span.start, span.end, value.clone()));
        }
    }
    Ok(changes)
}

/// A value, however it is written.
fn plain(value: &str) -> Option<toml::Value> {
    let table: toml::Table = format!("value = {}", value.trim()).parse().ok()?;
    table.get("value").cloned()
}

fn apply(text: &str, mut changes: Vec<(usize, usize, String)>) -> String {
    // From the end, so that the places of the others stay right; those at one place in their order.
    changes.reverse();
    changes.sort_by_key(|(begin, _, _)| std::cmp::Reverse(*begin));
    changes.into_iter().fold(text.to_owned(), |mut text, (begin, stop, new)| {
        text.replace_range(begin..stop, &new);
        text
    })
}

/// Where a table is, with the tables in it: from its heading to the end of the line of its last value.
fn extent(text: &str, table: &Table) -> Result<(usize, usize), String> {
    fn last(table: &Table) -> Option<usize> {
        let ends = table.iter().filter_map(|(_, item)| match item {
            Item::Table(table) => last(table),
            Item::ArrayOfTables(tables) => tables.iter().filter_map(last).max(),
            other => other.span().map(|span| span.end),
        });
        ends.chain(table.span().map(|span| span.end)).max()
    }
    lines(text, table, last(table))
}

/// Where a table is, without the tables in it.
fn extent_of_own(text: &str, table: &Table) -> Result<(usize, usize), String> {
    let own = table.iter().filter(|(_, item)| item.is_value());
    let ends = own.filter_map(|(_, item)| item.span().map(|span| span.end));
    lines(text, table, ends.chain(table.span().map(|span| span.end)).max())
}

fn lines(text: &str, table: &Table, last: Option<usize>) -> Result<(usize, usize), String> {
    let (heading, last) = table.span().zip(last).ok_or("a table in it has no place")?;
    let begin = text[..heading.start].rfind('\n').map_or(0, |at| at + 1);
    let stop = text[last..].find('\n').map_or(text.len(), |at| last + at + 1);
    Ok((begin, stop))
}

/// Everything in a text but our table.
fn others(text: &str, wanted: &TomlTable) -> Option<toml::Table> {
    let [outer, name] = wanted.path;
    let mut all: toml::Table = text.parse().ok()?;
    if let Some(toml::Value::Table(table)) = all.get_mut(outer) {
        table.remove(name);
        if table.is_empty() {
            all.remove(outer);
        }
    }
    Some(all)
}
