//! Values of JSON files: what is there, and what we want there.

use jsonc_parser::cst::{CstContainerNode, CstInputValue, CstLeafNode, CstNode};
use serde_json::Value;

/// A value that we write, as others read it.
pub fn plain(value: &CstInputValue) -> Value {
    match value {
        CstInputValue::Null => Value::Null,
        CstInputValue::Bool(value) => Value::Bool(*value),
        CstInputValue::Number(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        CstInputValue::String(text) => Value::String(text.clone()),
        CstInputValue::Array(items) => items.iter().map(plain).collect(),
        CstInputValue::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
        }
    }
}

/// A value that is there, as we would write it.
pub fn writable(node: &CstNode) -> CstInputValue {
    match node {
        CstNode::Container(CstContainerNode::Object(object)) => {
            let member = |it: &jsonc_parser::cst::CstObjectProp| {
                Some((it.decoded_name()?, writable(&it.value()?)))
            };
            CstInputValue::Object(object.properties().iter().filter_map(member).collect())
        }
        CstNode::Container(CstContainerNode::Array(array)) => {
            CstInputValue::Array(array.elements().iter().map(writable).collect())
        }
        CstNode::Leaf(CstLeafNode::StringLit(text)) => {
            CstInputValue::String(text.decoded_value().unwrap_or_default())
        }
        CstNode::Leaf(CstLeafNode::BooleanLit(value)) => CstInputValue::Bool(value.value()),
        CstNode::Leaf(CstLeafNode::NumberLit(number)) => CstInputValue::Number(number.to_string()),
        _ => CstInputValue::Null,
    }
}

/// Whether a value has all that we want of it. Somebody may have added to it.
pub fn covers(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| there.get(name).is_some_and(|there| covers(there, wanted))),
        (Value::Array(there), Value::Array(wanted)) => {
            let mut pairs = there.iter().zip(wanted);
            there.len() == wanted.len() && pairs.all(|(there, wanted)| covers(there, wanted))
        }
        _ => there == wanted,
    }
}
