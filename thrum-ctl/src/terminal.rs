//! Terminal input, and sanitizing of terminal output.

use std::borrow::Cow;
use std::io::{BufRead as _, IsTerminal as _, Read as _};

use thrum_api::visible::{is_invisible, readable, visible};
use tokio::sync::oneshot;

use crate::error::Error;

/// Sanitizes a foreign line (a name, an error): everything invisible in it is escaped.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    visible(text)
}

/// Sanitizes a foreign text of several lines (a message). Later lines are indented, so that they can't
/// look like another message.
pub fn sanitize_lines(text: &str, indent: &str) -> String {
    let text = text.replace("\r\n", "\n");
    readable(text.trim_end_matches('\n')).replace('\n', &format!("\n{indent}"))
}

/// The last look at what is printed: nothing but our colours controls the terminal, even where a foreign text was
/// not sanitized.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, colour, after)) = next_colour(rest) {
        clean.push_str(&readable(before));
        clean.push_str(colour);
        rest = after;
    }
    clean.push_str(&readable(rest));
    Cow::Owned(clean)
}

/// The first colour or style in a text, with what is before and after it.
fn next_colour(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find("\u{1b}[")?;
        let parameters = start + 2;
        let end = text[parameters..].find(|c: char| !c.is_ascii_digit() && c != ';')? + parameters;
        if text[end..].starts_with('m') {
            return Some((&text[..start], &text[start..=end], &text[end + 1..]));
        }
        from = parameters;
    }
}

/// Sanitizes JSON and puts it on one line. Its value does not change.
pub fn json(text: String) -> String {
    if !text.contains(is_invisible) {
        return text;
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            // Only between tokens: inside strings they are always escaped.
            '\n' | '\r' | '\t' => clean.push(' '),
            c if is_invisible(c) => {
                let mut units = [0; 2];
                let units = c.encode_utf16(&mut units).iter();
                clean.extend(units.map(|unit| format!("\\u{unit:04x}")));
            }
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
        let text = "\u{1b}\u{7f}\u{9b}\u{61c}\u{202e}\u{2066}\u{200b}\u{2028}\u{e0041}\n\\ü日";
        let written = serde_json::to_string(text).unwrap();
        let shown = json(written.clone());
        assert!(!shown.contains(is_invisible), "{shown:?}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        assert_ne!(shown, written);
        assert_eq!(json("{\n\t\"a\": 1}\r\n".to_owned()), "{  \"a\": 1}  ");
    }

    #[test]
    fn only_our_colours_pass_the_printer() {
        let ours = "\u{1b}[1;31mred\u{1b}[0m\n\tplain \u{2764}\u{fe0f}";
        assert_eq!(printable(ours), ours);
        for (text, shown) in [
            ("\u{1b}[2J\u{1b}[1mx\u{1b}[0m", "\\u{1b}[2J\u{1b}[1mx\u{1b}[0m"),
            ("\u{1b}]0;x\u{7}\u{1b}[", "\\u{1b}]0;x\\u{7}\\u{1b}["),
            ("a\u{200b}b\u{2028}c\u{202e}", "a\\u{200b}b\\u{2028}c\\u{202e}"),
        ] {
            assert_eq!(printable(text), shown);
        }
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
