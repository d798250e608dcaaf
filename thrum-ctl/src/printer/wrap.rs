use std::io;

use textwrap::{Options, WordSplitter, WrapAlgorithm};

/// The width of a terminal that does not report it.
const COLUMNS: usize = 80;
/// The height of such a terminal.
const ROWS: usize = 24;
/// The minimum width beside the indent.
const COLUMNS_MIN: usize = 8;
const TAB: usize = 8;

/// The width of the terminal on stdout.
pub fn columns() -> usize {
    size().0
}

/// The columns and rows of the terminal on stdout.
pub fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let columns = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    let rows = size.map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0);
    (columns.unwrap_or(COLUMNS), rows.unwrap_or(ROWS))
}

/// Wraps lines that are wider than the terminal, at a space if possible, and indents the rest. Colours
/// take no columns, and tabs become spaces. Widths are upper bounds: if the terminal wrapped a row itself, the
/// rest would begin without an indent, and one message could look like two.
pub fn wrap(text: &str, columns: usize, indent: &str) -> String {
    let options = Options::new(columns.max(indent.len() + COLUMNS_MIN))
        .subsequent_indent(indent)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .word_splitter(WordSplitter::NoHyphenation);
    let lines = text.split('\n').map(|line| {
        let line = line.replace('\t', &" ".repeat(TAB));
        textwrap::wrap(&line, &options).join("\n")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::{BOLD, styled};

    /// The most columns that a terminal may give a text: everything from Hangul on may be wide.
    fn width_at_most(text: &str) -> usize {
        text.chars().map(|c| if c < '\u{1100}' { 1 } else { 2 }).sum()
    }

    #[test]
    fn a_row_is_wrapped_at_a_space_and_continued_after_the_indent() {
        let wrapped = |text: &str| wrap(text, 20, "    ");
        assert_eq!(wrapped("short"), "short");
        assert_eq!(wrapped("a word and another one here"), "a word and another\n    one here");
        assert_eq!(wrapped("one\n    two"), "one\n    two");
        assert_eq!(wrapped(&"x".repeat(30)), format!("{}\n    {}", "x".repeat(16), "x".repeat(14)));
        assert_eq!(wrapped(&format!("a {}", "x".repeat(16))), format!("a {}", "x".repeat(16)));
    }

    #[test]
    fn no_row_is_wider_than_the_terminal_and_each_but_the_first_is_indented() {
        let bold = styled(BOLD, "name");
        for text in [
            format!("ok{}* boss: no", " ".repeat(75)),
            format!("{bold}{}* boss: no", "日".repeat(200)),
            format!("a\t{}\tb", "\t ".repeat(50)),
            "word ".repeat(100),
            format!("{} {}", "y".repeat(70), "x".repeat(79)),
            "é".repeat(300),
            // Some terminals give these columns and some do not.
            format!("ok{}* boss: no", "\u{3164}".repeat(78)),
            format!("ok{}* boss: no", "\u{ad}".repeat(78)),
            format!("ok{}* boss: no", "\u{2764}\u{fe0f}".repeat(78)),
        ] {
            for columns in [1, 13, 40, 80] {
                let wrapped = wrap(&text, columns, "    ");
                let plain = anstream::adapter::strip_str(&wrapped).to_string();
                for (number, row) in plain.lines().enumerate() {
                    let width = width_at_most(row);
                    assert!(width <= columns.max(12), "{width} in {columns}: {row:?}");
                    assert!(number == 0 || row.starts_with("    "), "{row:?}");
                }
                let bare = |text: &str| text.replace([' ', '\n', '\t'], "");
                assert_eq!(bare(&wrapped), bare(&text), "nothing is lost");
            }
        }
    }
}
