//! What a person looks for, as an expression of SQLite's full-text search. Everything typed is quoted, so that nothing
//! of it can be a syntax error or an operator.

use super::error::{SearchError, WORDS_MAX, WORDS_MAX_BYTES};

/// The expression for these words: all of them. Text between double quotes is a phrase, and a `*` at the end of either
/// stands for any end. Words without a letter or a digit mean nothing.
///
/// # Errors
/// When there is no word, or are too many.
pub(super) fn expression(typed: &str) -> Result<String, SearchError> {
    if typed.len() > WORDS_MAX_BYTES {
        return Err(SearchError::TooManyWords);
    }
    // A zero would end the expression.
    let typed: String = typed.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut expression = String::new();
    let mut rest = typed.trim_start();
    let mut count = 0;
    while !rest.is_empty() {
        let (word, is_prefix, after) = next(rest);
        rest = after.trim_start();
        if !word.contains(char::is_alphanumeric) {
            continue;
        }
        count += 1;
        if !expression.is_empty() {
            expression.push(' ');
        }
        expression.push('"');
        expression.push_str(word);
        expression.push('"');
        if is_prefix {
            expression.push('*');
        }
    }
    match count {
        0 => Err(SearchError::NoWords),
        1..=WORDS_MAX => Ok(expression),
        _ => Err(SearchError::TooManyWords),
    }
}

/// The first word or phrase, without quotes, whether it is a prefix, and what follows it.
fn next(text: &str) -> (&str, bool, &str) {
    if let Some(phrase) = text.strip_prefix('"') {
        // One that is not closed goes to the end.
        let (phrase, after) = phrase.split_once('"').unwrap_or((phrase, ""));
        return match after.strip_prefix('*') {
            Some(after) => (phrase, true, after),
            None => (phrase, false, after),
        };
    }
    let end = text.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    match word.strip_suffix('*') {
        Some(word) => (word, true, after),
        None => (word, false, after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_phrases_and_prefixes_are_quoted_and_nothing_else_has_a_meaning() {
        let cases = [
            ("lock order", r#""lock" "order""#),
            (r#" "lock  order" fix* "#, r#""lock  order" "fix"*"#),
            (r#""auth fi"* NOT (a OR b)"#, r#""auth fi"* "NOT" "(a" "OR" "b)""#),
            ("text:x ^y {a}:b", r#""text:x" "^y" "{a}:b""#),
            (r#"-- * ** "" "…" open "and more"#, r#""open" "and more""#),
            ("a\0b\u{1}c", r#""a" "b" "c""#),
            (r#"say"hello"now"#, r#""say" "hello" "now""#),
        ];
        for (typed, wanted) in cases {
            assert_eq!(expression(typed).unwrap(), wanted, "{typed}");
        }
        for nothing in ["", " ", "*", "\"\"", "?!", "\0"] {
            assert!(matches!(expression(nothing), Err(SearchError::NoWords)), "{nothing:?}");
        }
        let many = "a ".repeat(WORDS_MAX + 1);
        assert!(matches!(expression(&many), Err(SearchError::TooManyWords)));
        let long = "a".repeat(WORDS_MAX_BYTES + 1);
        assert!(matches!(expression(&long), Err(SearchError::TooManyWords)));
        assert!(expression(&"a ".repeat(WORDS_MAX)).is_ok());
    }
}
