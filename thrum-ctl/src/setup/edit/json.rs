//! Our entries in a JSON file. Comments, order and indentation of the rest stay.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{
    CstArray, CstContainerNode, CstInputValue, CstLeafNode, CstNode, CstObject, CstRootNode,
};
use serde_json::Value;

use super::ours::{is_our_hook, is_our_server};
use super::value::{covers, plain, writable};
use super::{Added, Known, Outcome, Removed, split_mark};
use crate::setup::content::{Entry, Kind};

/// Adds entries to a text. Those that are ours and have other values are replaced.
///
/// # Errors
/// Why it can't be done, in words for a person.
pub fn add(text: &str, entries: &[Entry]) -> Result<Added, String> {
    let (mark, body) = split_mark(text);
    let root = parsed(body)?;
    let object = root.object_value_or_create().ok_or("it holds no JSON object")?;
    let mut added = Added::default();
    for entry in entries {
        let outcome = add_entry(&object, entry, &mut added.made)?;
        added.outcomes.push(outcome);
    }
    added.text = format!("{mark}{root}");
    Ok(added)
}

fn add_entry(root: &CstObject, entry: &Entry, made: &mut Vec<String>) -> Result<Outcome, String> {
    let (name, parents) = entry.path.split_last().ok_or("an entry has no name")?;
    let mut parent = root.clone();
    for (depth, name) in parents.iter().enumerate() {
        parent = match parent.get(name) {
            Some(member) => {
                member.object_value().ok_or_else(|| format!("{name:?} in it is no object"))?
            }
            None => {
                made.push(parents[..=depth].join("."));
                parent.append(name, CstInputValue::Object(Vec::new())).object_value_or_set()
            }
        };
    }
    match entry.kind {
        Kind::Needed if parent.get(name).is_some() => Ok(Outcome::Present),
        Kind::Needed => {
            parent.append(name, entry.value.clone());
            Ok(Outcome::New)
        }
        Kind::Server => Ok(add_server(&parent, name, &entry.value)),
        Kind::Hook | Kind::Word => {
            let array = match parent.get(name) {
                Some(member) => {
                    member.array_value().ok_or_else(|| format!("{name:?} in it is no array"))?
                }
                None => {
                    made.push(entry.path.join("."));
                    parent.append(name, CstInputValue::Array(Vec::new())).array_value_or_set()
                }
            };
            Ok(match entry.kind {
                Kind::Hook => add_hook(&array, &entry.value),
                _ => add_word(&array, &entry.value),
            })
        }
    }
}

fn add_server(parent: &CstObject, name: &str, wanted: &CstInputValue) -> Outcome {
    let Some(member) = parent.get(name) else {
        parent.append(name, wanted.clone());
        return Outcome::New;
    };
    let there = member.to_serde_value().unwrap_or(Value::Null);
    if covers(&there, &plain(wanted)) {
        return Outcome::Present;
    }
    let replaced = member.value().map(|value| value.to_string()).unwrap_or_default();
    match (member.object_value(), wanted) {
        // What a person has added to it, such as variables, stays.
        (Some(object), CstInputValue::Object(members)) if is_our_server(&there) => {
            for (name, wanted) in members {
                match object.get(name) {
                    Some(it) if it.to_serde_value() == Some(plain(wanted)) => {}
                    Some(it) => it.set_value(wanted.clone()),
                    None => drop(object.append(name, wanted.clone())),
                }
            }
        }
        _ => member.set_value(wanted.clone()),
    }
    Outcome::Replaced(replaced)
}

fn add_hook(array: &CstArray, wanted: &CstInputValue) -> Outcome {
    let ours = our_hooks(array);
    let outcome = match ours.as_slice() {
        [] => Outcome::New,
        [one] if covers(&read(one), &plain(wanted)) => return Outcome::Present,
        [first, ..] => Outcome::Replaced(in_form_of(first, wanted).to_string()),
    };
    ours.into_iter().for_each(CstNode::remove);
    array.append(wanted.clone());
    outcome
}

fn add_word(array: &CstArray, wanted: &CstInputValue) -> Outcome {
    let wanted_word = plain(wanted);
    if array.elements().iter().any(|it| read(it) == wanted_word) {
        return Outcome::Present;
    }
    array.append(wanted.clone());
    Outcome::New
}

/// The hooks in an array that are ours: elements of it, or those in a group that has others, too.
fn our_hooks(array: &CstArray) -> Vec<CstNode> {
    let mut ours = Vec::new();
    for element in array.elements() {
        if is_our_hook(&read(&element)) {
            ours.push(element);
        } else if let Some(group) = element.as_object().and_then(|it| it.array_value("hooks")) {
            ours.extend(group.elements().into_iter().filter(|it| is_our_hook(&read(it))));
        }
    }
    ours
}

/// A hook that is taken out, as an element like the one that we write.
fn in_form_of(hook: &CstNode, wanted: &CstInputValue) -> Value {
    let (hook, wanted) = (read(hook), plain(wanted));
    match wanted.get("hooks").is_some() && hook.get("hooks").is_none() {
        true => serde_json::json!({ "hooks": [hook] }),
        false => hook,
    }
}

/// Takes entries out of a text. Without knowledge, everything that is ours goes, and what is empty then.
///
/// # Errors
/// Why it can't be done, in words for a person.
pub fn remove(text: &str, entries: &[Entry], known: Option<&Known>) -> Result<Removed, String> {
    let (mark, body) = split_mark(text);
    let root = parsed(body)?;
    let mut removed = Removed::default();
    if let Some(object) = root.object_value() {
        let mut had_ours = Vec::new();
        for entry in entries {
            let count = remove_entry(&object, entry, known);
            removed.count += count;
            if count > 0 || known.is_some() {
                had_ours.push(entry);
            }
        }
        for entry in had_ours {
            for depth in (1..=entry.path.len()).rev() {
                prune(&object, &entry.path[..depth], known);
            }
        }
        let needed = |name: Option<String>| {
            let needed = |it: &&Entry| it.kind == Kind::Needed;
            entries.iter().filter(needed).any(|it| it.path.first().copied() == name.as_deref())
        };
        let properties = object.properties();
        removed.is_empty = properties.iter().all(|it| needed(it.decoded_name()));
    }
    removed.is_empty &= !has_comment(&CstContainerNode::Root(root.clone()).into());
    removed.text = format!("{mark}{root}");
    Ok(removed)
}

fn remove_entry(root: &CstObject, entry: &Entry, known: Option<&Known>) -> usize {
    let id = entry.id();
    if known.is_some_and(|it| it.kept.contains(&id)) {
        return 0;
    }
    let Some((name, parents)) = entry.path.split_last() else { return 0 };
    let parent = parents.iter().try_fold(root.clone(), |object, name| object.object_value(name));
    let Some(member) = parent.and_then(|parent| parent.get(name)) else { return 0 };
    let replaced = known.and_then(|it| it.replaced.iter().find(|(of, _)| *of == id));
    let before = replaced.and_then(|(_, text)| value_of(text));
    match (entry.kind, member.array_value()) {
        (Kind::Server, _) if is_our_server(&member.to_serde_value().unwrap_or(Value::Null)) => {
            match before {
                Some(before) => member.set_value(before),
                None => member.remove(),
            }
            1
        }
        (Kind::Hook, Some(array)) => {
            let ours = our_hooks(&array);
            let count = ours.len();
            ours.into_iter().for_each(CstNode::remove);
            if let Some(before) = before.filter(|_| count > 0) {
                array.append(before);
            }
            count
        }
        (Kind::Word, Some(array)) => {
            let word = plain(&entry.value);
            let found = array.elements().into_iter().find(|it| read(it) == word);
            found.map(CstNode::remove).map_or(0, |()| 1)
        }
        // It is no entry by which anybody counts.
        (Kind::Needed, _) if known.is_some_and(|it| it.made.contains(&id)) => {
            if member.to_serde_value() == Some(plain(&entry.value)) {
                member.remove();
            }
            0
        }
        _ => 0,
    }
}

/// Removes an object or array that is empty and that we made. Without knowledge, one that had something of ours in it.
fn prune(root: &CstObject, path: &[&str], known: Option<&Known>) {
    let Some((name, parents)) = path.split_last() else { return };
    let parent = parents.iter().try_fold(root.clone(), |object, name| object.object_value(name));
    let Some(member) = parent.and_then(|parent| parent.get(name)) else { return };
    let is_empty = match member.value() {
        Some(CstNode::Container(CstContainerNode::Object(object))) => {
            object.properties().is_empty() && !has_comment(&object.into())
        }
        Some(CstNode::Container(CstContainerNode::Array(array))) => {
            array.elements().is_empty() && !has_comment(&array.into())
        }
        _ => false,
    };
    if is_empty && known.is_none_or(|it| it.made.contains(&path.join("."))) {
        member.remove();
    }
}

/// Reads a JSON text with comments. What no tool would read is refused, and so is what two readers would read
/// differently.
fn parsed(text: &str) -> Result<CstRootNode, String> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let root =
        CstRootNode::parse(text, &options).map_err(|error| format!("it is not JSON: {error}"))?;
    match root.value().and_then(|value| twice(&value)) {
        Some(name) => Err(format!("it has {name:?} twice in one object")),
        None => Ok(root),
    }
}

/// The first name that an object has twice.
fn twice(node: &CstNode) -> Option<String> {
    if let Some(object) = node.as_object() {
        let mut names: Vec<String> =
            object.properties().iter().filter_map(|it| it.decoded_name()).collect();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return pair.first().cloned();
        }
    }
    node.children().iter().find_map(twice)
}

fn has_comment(node: &CstNode) -> bool {
    matches!(node, CstNode::Leaf(CstLeafNode::Comment(_)))
        || node.children().iter().any(has_comment)
}

fn read(node: &CstNode) -> Value {
    node.to_serde_value().unwrap_or(Value::Null)
}

fn value_of(text: &str) -> Option<CstInputValue> {
    let root = parsed(text).ok()?;
    root.value().map(|value| writable(&value))
}
