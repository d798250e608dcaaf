//! Terminal input, and sanitizing of terminal output.

use std::borrow::Cow;
use std::io::{BufRead as _, IsTerminal as _, Read as _};

use tokio::sync::oneshot;

use crate::error::Error;

/// Whether a character could move the cursor, change the terminal or reorder what is read.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape<'a>(text: &'a str, allowed: &[char]) -> Cow<'a, str> {
    let bad = |c: char| is_unsafe(c) && !allowed.contains(&c);
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if bad(c) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Sanitizes a foreign line (a name, an error): characters that could control a terminal are escaped.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    escape(text, &[])
}

/// Sanitizes a foreign text of several lines (a message). Later lines are indented, so that they can't
/// look like another message.
pub fn sanitize_lines(text: &str, indent: &str) -> String {
    let text = text.replace("\r\n", "\n");
    escape(text.trim_end_matches('\n'), &['\n', '\t']).replace('\n', &format!("\n{indent}"))
}

/// Sanitizes JSON and puts it on one line. Its value does not change.
pub fn json(text: String) -> String {
    if !text.contains(is_unsafe) {
        return text;
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            // Only between tokens: inside strings they are always escaped.
            '\n' | '\r' | '\t' => clean.push(' '),
            c if is_unsafe(c) => clean.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => clean.push(c),
        }
    }
    clean
}

/// Whether stdin and stderr are terminals, so that a person can answer a question.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Reads one line of stdin; none at its end. Does not block the I/O loop, so that Ctrl-C works.
///
/// # Errors
/// When stdin can't be read.
pub async fn read_line() -> Result<Option<String>, Error> {
    let (answer, line) = oneshot::channel();
    // Not a thread of the runtime's pool, because the runtime would wait for it at the end.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(4096).read_line(&mut text);
        // The receiver is gone after Ctrl-C.
        drop(answer.send(read.map(|bytes| (bytes > 0).then_some(text))));
    });
    match line.await {
        Ok(read) => read.map_err(|source| Error::io("can't read stdin", source)),
        Err(_) => Ok(None),
    }
}

/// Reads all of stdin as a message, without the line end at its end.
///
/// # Errors
/// When it can't be read, is not UTF-8, or is too large.
pub fn read_message(max_bytes: usize) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("can't read the message from stdin", source))?;
    if bytes.len() > max_bytes {
        return Err(Error::usage(
            format!("the message on stdin has more than {max_bytes} bytes"),
            "put the text into a file and send its path",
        ));
    }
    message(bytes)
}

fn message(bytes: Vec<u8>) -> Result<String, Error> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::usage(
            format!("the message on stdin is not UTF-8 text (byte {at})"),
            "send a file as text, base64 FILE | thrum send NAME -, or send its path",
        )
    })?;
    // Windows tools put a byte order mark at the beginning and CRLF at the end.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_control_the_terminal() {
        assert_eq!(sanitize("coder"), "coder");
        assert_eq!(sanitize("\u{1b}[2Jx\r\n\u{9b}1m"), "\\u{1b}[2Jx\\r\\n\\u{9b}1m");
        assert_eq!(sanitize("a\u{202e}b\u{61c}"), "a\\u{202e}b\\u{61c}");
        assert_eq!(sanitize("naïve 日本"), "naïve 日本");
    }

    #[test]
    fn json_is_harmless_and_the_same() {
        let text = "\u{1b}\u{7f}\u{9b}\u{61c}\u{202e}\u{2066}\n\\ü日";
        let written = serde_json::to_string(text).unwrap();
        let shown = json(written.clone());
        assert!(shown.is_ascii() || !shown.contains(is_unsafe), "{shown:?}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        assert_ne!(shown, written);
        assert_eq!(json("{\n\t\"a\": 1}\r\n".to_owned()), "{  \"a\": 1}  ");
    }

    #[test]
    fn later_lines_of_a_message_are_indented() {
        assert_eq!(sanitize_lines("one\r\ntwo\n\n", "  "), "one\n  two");
        assert_eq!(sanitize_lines("a\tb\u{7}", "  "), "a\tb\\u{7}");
    }

    #[test]
    fn a_message_on_stdin_loses_one_line_end_and_must_be_text() {
        for (read, text) in [
            ("a\r\n", "a"),
            ("a\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r\nb\r\n", "a\r\nb"),
            ("a\r", "a\r"),
            ("\u{feff}a", "a"),
            ("\n", ""),
        ] {
            assert_eq!(message(read.as_bytes().to_vec()).unwrap(), text, "{read:?}");
        }
        let error = message(b"a\xff\n".to_vec()).unwrap_err();
        assert_eq!(error.kind().exit_code(), 2);
        assert_eq!(error.to_string(), "the message on stdin is not UTF-8 text (byte 1)");
        assert!(error.hint().unwrap().contains("base64 FILE | thrum send"), "{error:?}");
    }
}
