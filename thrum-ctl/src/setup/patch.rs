//! The way back from a text to the one before it, without a copy of the whole: files of settings have secrets.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use similar::{DiffTag, TextDiff};

/// How a text becomes the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch(Vec<Hunk>);

/// Lines that are replaced, counted in the text as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Hunk {
    line: usize,
    lines: usize,
    before: String,
}

impl Patch {
    /// The way from `after` to `before`.
    pub fn back(after: &str, before: &str) -> Self {
        let (old, new) = (lines(after), lines(before));
        let diff = TextDiff::from_slices(&old, &new);
        let hunks = diff.ops().iter().filter(|op| op.tag() != DiffTag::Equal).map(|op| Hunk {
            line: op.old_range().start,
            lines: op.old_range().len(),
            before: new.get(op.new_range()).unwrap_or_default().concat(),
        });
        Self(hunks.collect())
    }

    /// The text before this one. The text must be the one that the patch was made for.
    pub fn apply(&self, after: &str) -> String {
        let lines = lines(after);
        let (mut text, mut next) = (String::new(), 0);
        for hunk in &self.0 {
            text.push_str(&lines.get(next..hunk.line).unwrap_or_default().concat());
            text.push_str(&hunk.before);
            next = hunk.line.saturating_add(hunk.lines);
        }
        text.push_str(&lines.get(next..).unwrap_or_default().concat());
        text
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Names a text.
pub fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What changes between two texts, in the usual form, with what surrounds it.
pub fn unified(before: &str, after: &str, name: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let (old, new) = (format!("a/{name}"), format!("b/{name}"));
    diff.unified_diff().context_radius(2).header(&old, &new).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_the_same_bytes() {
        let texts = [
            "",
            "\n",
            "a",
            "a\r\nb\r\n",
            "a\rb",
            "a\n\n\nb\nc",
            "\u{feff}{\n}\n",
            "{\n  \"secret\": 1,\n  \"x\": 2\n}\n",
            "{\n  \"secret\": 1,\n  \"x\": 2,\n  \"y\": 3\n}",
        ];
        for before in texts {
            for after in texts {
                let patch = Patch::back(after, before);
                assert_eq!(patch.apply(after), before, "{after:?} -> {before:?}");
                let text = serde_json::to_string(&patch).unwrap();
                assert_eq!(serde_json::from_str::<Patch>(&text).unwrap(), patch);
            }
        }
        assert!(!format!("{:?}", Patch::back(texts[8], texts[7])).contains("secret"));
    }
}
