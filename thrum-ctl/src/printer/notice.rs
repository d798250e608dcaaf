use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::terminal::{json, sanitize};

/// A note on stderr that is given at most once, by whichever of its clones is first. It needs no
/// printer, because the printer may be borrowed while a call waits.
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
    /// A new notice. With `--quiet` it counts as given.
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, settled: Arc::new(AtomicBool::new(quiet)) }
    }

    /// Whether it was given.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    /// Prints it, unless it was given. `code` is a stable identifier for programs.
    pub fn give(&self, code: &str, message: &str, hint: &str) {
        if self.settle() {
            // If stderr is closed, there is nowhere to report it.
            drop(writeln!(io::stderr(), "{}", self.text(code, message, hint)));
        }
    }

    /// Marks it as given, and returns whether this is the first time.
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
    fn a_notice_is_a_line_of_json_or_a_sentence() {
        let text = |json| Notice::new(json, false).text("waiting", "it sleeps\u{7}", "wake it");
        assert_eq!(text(false), "it sleeps\\u{7}; wake it");
        let line: serde_json::Value = serde_json::from_str(&text(true)).unwrap();
        assert_eq!(line["note"]["code"], "waiting");
        assert_eq!(line["note"]["hint"], "wake it");
    }

    #[test]
    fn a_notice_is_given_once_and_never_with_quiet() {
        let notice = Notice::new(false, false);
        assert!(!notice.is_settled() && notice.clone().settle());
        assert!(notice.is_settled() && !notice.settle());
        assert!(Notice::new(true, true).is_settled());
    }
}
