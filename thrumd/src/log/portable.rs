//! JSON that every program can read. JSON allows more than common parsers accept, and an event can't be
//! changed once it has reached every machine.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use thrum_api::limits::EVENT_MAX_DEPTH;

/// Checks that the arrays and objects of an event are nested at most [`EVENT_MAX_DEPTH`] deep, that every `\u`
/// escape is a character (no half of a surrogate pair), and that every number is finite as a double.
///
/// # Errors
/// The first of these that does not hold, and where.
pub(super) fn check_event(text: &str) -> serde_json::Result<()> {
    check(text, EVENT_MAX_DEPTH)
}

/// Checks the body of an event, which lies one level below it.
///
/// # Errors
/// As [`check_event`].
pub(super) fn check_body(text: &str) -> serde_json::Result<()> {
    check(text, EVENT_MAX_DEPTH - 1)
}

fn check(text: &str, levels_left: usize) -> serde_json::Result<()> {
    let mut parser = serde_json::Deserializer::from_str(text);
    Value { levels_left }.deserialize(&mut parser)?;
    parser.end()
}

/// Visits a value to its leaves and keeps nothing. The parser itself refuses such escapes and numbers where it
/// has to convert them.
#[derive(Clone, Copy)]
struct Value {
    levels_left: usize,
}

impl Value {
    fn inner<E: Error>(self) -> Result<Self, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self { levels_left }),
            None => Err(E::custom(format_args!(
                "an event has at most {EVENT_MAX_DEPTH} levels of nesting"
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while members.next_key::<IgnoredAny>()?.is_some() {
            members.next_value_seed(inner)?;
        }
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize, open: &str, leaf: &str, close: &str) -> String {
        open.repeat(depth) + leaf + &close.repeat(depth)
    }

    #[test]
    fn what_some_parser_stops_at_is_refused() {
        for text in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\ud800""#,
            r#""\ud800x""#,
            r#"{"\ud800":1}"#,
            "1e999",
            "-1e400",
            &"9".repeat(400),
            &nested(65, "[", "", "]"),
            &nested(65, r#"{"a":"#, "1", "}"),
            &nested(10_001, "[", "", "]"),
        ] {
            let shown = &text[..text.len().min(40)];
            assert!(check_event(text).is_err(), "{shown}");
            assert!(check_event(&format!(r#"{{"a":[{text}]}}"#)).is_err(), "{shown}, inside");
        }
        assert!(check_body(&nested(64, "[", "", "]")).is_err(), "the event is one level, too");
    }

    #[test]
    fn everything_else_is_accepted() {
        for text in [
            r#""\ud83d\ude00 \u0000 \ufffe \\ud800""#,
            r#"{"a":1,"a":2}"#,
            "[0,-0,-1.5e308,1e-999,18446744073709551616,true,false,null,\"\"]",
            &nested(64, "[", "", "]"),
            &nested(64, r#"{"a":"#, "1", "}"),
        ] {
            check_event(text).unwrap();
        }
    }
}
