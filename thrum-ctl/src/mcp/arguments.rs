//! The arguments of a call, read one by one: an error names the argument, and what was ignored is told.

use rmcp::model::JsonObject;
use serde_json::Value;

use super::answer::{Done, Failure, cut};

/// The arguments that were not read yet.
pub struct Arguments {
    given: JsonObject,
    tool: &'static str,
}

impl Arguments {
    /// Of a call of this tool. `null` counts as absent.
    pub fn new(tool: &'static str, given: Option<JsonObject>) -> Self {
        let mut given = given.unwrap_or_default();
        given.retain(|_, value| !value.is_null());
        Self { given, tool }
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.given.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "a text", &other)),
        }
    }

    /// A text that is needed and says something.
    pub fn needed(&mut self, name: &str) -> Result<String, Failure> {
        let text = self.text(name)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| {
            Failure::arguments(format!("{} needs {name}", self.tool), format!("add {name}"))
        })
    }

    /// Yes or no; absent: no.
    pub fn flag(&mut self, name: &str) -> Result<bool, Failure> {
        match self.given.remove(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(self.wrong(name, "true or false", &other)),
        }
    }

    /// A whole number that is not negative. A model may write it as a text or with a point.
    pub fn number(&mut self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(value) = self.given.remove(name) else { return Ok(None) };
        let number = match &value {
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(name, "a whole number", &value))
    }

    /// One text, or several.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let Some(value) = self.given.remove(name) else { return Ok(Vec::new()) };
        let texts = match &value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(list) => {
                list.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        };
        texts.ok_or_else(|| self.wrong(name, "a text or a list of texts", &value))
    }

    /// Tells in the answer which arguments were ignored, if any were.
    pub fn tell_ignored(&self, done: &mut Done) {
        const SHOWN_MAX: usize = 5;
        let names = self.given.keys().take(SHOWN_MAX).map(|name| cut(name, 40).into());
        let names: Vec<Value> = names.collect();
        if !names.is_empty() {
            done.insert("ignored_arguments".to_owned(), names.into());
        }
    }

    fn wrong(&self, name: &str, wanted: &str, given: &Value) -> Failure {
        let given = given.to_string();
        let shown = cut(&given, 100);
        Failure::arguments(
            format!("{name} of {} has to be {wanted}, not {shown}", self.tool),
            "call it again with that changed",
        )
    }
}

/// A number that is whole, and small enough to be exact.
fn whole(number: f64) -> Option<u64> {
    const EXACT_MAX: f64 = 1e9;
    let is_whole = (0.0..=EXACT_MAX).contains(&number) && number.fract() == 0.0;
    is_whole.then(|| format!("{number:.0}").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(value: Value) -> Arguments {
        Arguments::new("send_message", value.as_object().cloned())
    }

    #[test]
    fn arguments_are_taken_as_models_write_them() {
        let mut all = given(json!({
            "text": "hi", "to": "a", "list": ["a", "b"], "n": 7, "m": "8", "f": 9.0, "yes": true, "no": null,
        }));
        assert_eq!(all.needed("text").unwrap(), "hi");
        assert_eq!(all.texts("to").unwrap(), ["a"]);
        assert_eq!(all.texts("list").unwrap(), ["a", "b"]);
        assert_eq!(all.texts("none").unwrap(), [""; 0]);
        for (name, number) in [("n", 7), ("m", 8), ("f", 9)] {
            assert_eq!(all.number(name).unwrap(), Some(number), "{name}");
        }
        assert!(all.flag("yes").unwrap() && !all.flag("no").unwrap());
        let mut done = Done::new();
        all.tell_ignored(&mut done);
        assert!(done.is_empty());
    }

    #[test]
    fn an_error_names_the_argument_and_what_is_unknown_is_told() {
        let mut all = given(json!({
            "text": " ", "to": [1], "n": -1, "m": 1.5, "yes": "perhaps", "number": "x".repeat(9000), "extra": 1,
        }));
        let message = |failure: Failure| format!("{failure:?}");
        assert!(message(all.needed("text").unwrap_err()).contains("send_message needs text"));
        assert!(message(all.texts("to").unwrap_err()).contains("to of send_message has to be"));
        for name in ["n", "m", "number"] {
            let told = message(all.number(name).unwrap_err());
            assert!(told.contains(name) && told.len() < 400, "{told}");
        }
        assert!(all.flag("yes").is_err());
        let mut done = Done::new();
        all.tell_ignored(&mut done);
        assert_eq!(Value::Object(done), json!({"ignored_arguments": ["extra"]}));
    }
}
