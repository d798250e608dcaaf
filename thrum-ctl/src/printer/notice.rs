use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::terminal::{json, sanitize};

/// A remark on stderr that is made once, by whichever of its clones comes upon it first. It needs no
/// printer, which whoever waits for an answer may have lent to somebody else.
#[derive(Debug, Clone)]
pub struct Notice {
    json: bool,
    settled: Arc<AtomicBool>,
}

#[derive(Serialize)]
struct Line<'a> {
    note: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    hint: &'a str,
}

impl Notice {
    /// One that is still to be given; never to those who want to hear only what they asked for.
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, settled: Arc::new(AtomicBool::new(quiet)) }
    }

    /// Whether nothing is to be said any more.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    /// Says it, unless it was said. `code` is a stable word for programs.
    pub fn give(&self, code: &str, message: &str, hint: &str) {
        if self.settle() {
            // A closed stderr leaves nobody to tell.
            drop(writeln!(io::stderr(), "{}", self.text(code, message, hint)));
        }
    }

    /// Whether this is the first time.
    fn settle(&self) -> bool {
        !self.settled.swap(true, Ordering::Relaxed)
    }

    fn text(&self, code: &str, message: &str, hint: &str) -> String {
        if self.json
            && let Ok(line) = serde_json::to_string(&Line { note: Body { code, message, hint } })
        {
            return json(line);
        }
        sanitize(&format!("{message}; {hint}")).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_a_line_of_json_and_people_a_sentence() {
        let text = |json| Notice::new(json, false).text("waiting", "it sleeps\u{7}", "wake it");
        assert_eq!(text(false), "it sleeps\\u{7}; wake it");
        let line: serde_json::Value = serde_json::from_str(&text(true)).unwrap();
        assert_eq!(line["note"]["code"], "waiting");
        assert_eq!(line["note"]["hint"], "wake it");
    }

    #[test]
    fn it_is_given_once_and_to_the_quiet_never() {
        let notice = Notice::new(false, false);
        assert!(!notice.is_settled() && notice.clone().settle());
        assert!(notice.is_settled() && !notice.settle());
        assert!(Notice::new(true, true).is_settled());
    }
}
