//! Prints an error with its causes on one line, and shortens texts that others control. Used where an error
//! leaves the process.

use std::error::Error;
use std::fmt;

/// Shows `error: cause: cause of that`.
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// How many characters of a reason are kept from its start and its end.
const KEPT_FIRST: usize = 120;
const KEPT_LAST: usize = 80;

/// Why input is refused, in some 200 characters. Serde quotes a wrong text in full, so the middle is cut.
pub fn brief(reason: &str) -> String {
    let chars = reason.chars().count();
    if chars <= KEPT_FIRST + KEPT_LAST {
        return reason.to_owned();
    }
    let first: String = reason.chars().take(KEPT_FIRST).collect();
    let last: String = reason.chars().skip(chars - KEPT_LAST).collect();
    format!("{first} ... {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_keeps_its_beginning_and_its_end() {
        let whole = "\u{fc}".repeat(KEPT_FIRST + KEPT_LAST);
        assert_eq!(brief(&whole), whole);
        let long = format!("invalid type: {} at line 1", "\u{fc}".repeat(100_000));
        let short = brief(&long);
        assert!(short.starts_with("invalid type: ") && short.ends_with(" at line 1"), "{short}");
        assert_eq!(short.chars().count(), KEPT_FIRST + KEPT_LAST + " ... ".len());
    }
}
