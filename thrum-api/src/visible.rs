//! Makes invisible characters visible in text of others, wherever it is shown: on a terminal and in the log.
//!
//! Control characters move the cursor or begin a line that looks like another message. Directional ones reorder
//! what is read. The others have no look at all: they make two names look the same, or hide text that a person
//! does not see and a language model reads.

use std::borrow::Cow;

/// Whether a character shows nothing of its own: the control characters and Unicode's
/// `Default_Ignorable_Code_Point`, with line separators and blank symbols. Combining marks of scripts are none
/// of them, and spaces show a gap.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A name or another short text on one line, with every invisible character escaped: two names that differ
/// never look the same because of one.
pub fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |_, c, _| is_invisible(c))
}

/// A text that people read, which may have several lines. It keeps what writing needs: line breaks and tabs,
/// joiners inside of words of scripts that join and of emoji, and the choice between text and emoji.
pub fn readable(text: &str) -> Cow<'_, str> {
    escape(text, |before, c, after| is_invisible(c) && !is_needed(before, c, after))
}

fn is_needed(before: Option<char>, c: char, after: Option<char>) -> bool {
    let Some(before) = before.filter(|_| !matches!(c, '\n' | '\t')) else {
        return matches!(c, '\n' | '\t');
    };
    match c {
        '\u{200c}' | '\u{200d}' if joins(before) => after.is_some_and(joins),
        // Between them may be a choice of look or of a skin colour, which are pictographs here.
        '\u{200d}' => {
            (is_pictograph(before) || before == '\u{fe0f}') && after.is_some_and(is_pictograph)
        }
        '\u{fe0e}' | '\u{fe0f}' => is_pictograph(before) || after == Some('\u{20e3}'),
        _ => false,
    }
}

/// Whether a character belongs to a script in which joiners change how words look: Arabic and its neighbours,
/// those of India, Burmese, Khmer, Mongolian.
fn joins(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{18af}')
        && !is_invisible(c)
}

fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{27ff}'
        | '\u{2900}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// Escapes the characters that are wrong between their neighbours.
fn escape(text: &str, is_wrong: impl Fn(Option<char>, char, Option<char>) -> bool) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    let (mut before, mut chars) = (None, text.chars().peekable());
    while let Some(c) = chars.next() {
        if is_wrong(before, c, chars.peek().copied()) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
        before = Some(c);
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_nothing_is_escaped_wherever_it_stands() {
        for c in [
            '\u{1b}',
            '\u{9b}',
            '\r',
            '\u{200b}',
            '\u{200e}',
            '\u{2028}',
            '\u{2029}',
            '\u{202e}',
            '\u{2066}',
            '\u{2060}',
            '\u{61c}',
            '\u{ad}',
            '\u{feff}',
            '\u{3164}',
            '\u{34f}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{fe00}',
            '\u{200c}',
            '\u{200d}',
            '\u{fe0f}',
        ] {
            let text = format!("a{c}b");
            let escaped = format!("a{}b", c.escape_default());
            assert_eq!(visible(&text), escaped);
            assert_eq!(readable(&text), escaped);
            assert_eq!(readable(&c.to_string()), c.escape_default().to_string());
        }
        assert_eq!(visible("one\n\ttwo"), "one\\n\\ttwo");
        assert_eq!(readable("one\n\ttwo"), "one\n\ttwo");
    }

    #[test]
    fn text_of_real_scripts_stays_as_it_is() {
        for text in [
            "na\u{ef}ve cafe\u{301}",
            "\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947}",
            "\u{ba4}\u{bae}\u{bbf}\u{bb4}\u{bcd}",
            "\u{65e5}\u{672c}\u{3000}\u{8a9e}",
            "\u{5e9}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}",
        ] {
            assert_eq!(visible(text), text);
            assert_eq!(readable(text), text);
        }
        for text in [
            // Persian "mi-khaham", Sinhala "sri", a family, a rainbow flag, a red heart, a keycap.
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}",
            "\u{1f468}\u{1f3fd}\u{200d}\u{1f469}\u{200d}\u{1f466}",
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
            "\u{2764}\u{fe0f} 1\u{fe0f}\u{20e3}",
        ] {
            assert_eq!(readable(text), text);
            assert!(visible(text).contains("\\u{"), "a name has none: {text}");
        }
    }

    #[test]
    fn a_needed_character_is_needed_once() {
        assert_eq!(readable("\u{2764}\u{fe0f}\u{fe0f}"), "\u{2764}\u{fe0f}\\u{fe0f}");
        assert_eq!(readable("\u{645}\u{200c}\u{200c}\u{645}"), "\u{645}\\u{200c}\\u{200c}\u{645}");
    }
}
