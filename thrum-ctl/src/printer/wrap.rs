use std::io;

/// Of a terminal that does not tell.
const COLUMNS: usize = 80;
/// A line has room for so much beside its indent, however narrow the terminal is.
const ROOM_MIN: usize = 8;
const TAB: usize = 8;

/// How wide the terminal on stdout is.
pub fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
    size.ok().filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}

/// Breaks lines that are wider than the terminal, at a blank if there is one; what follows stands behind
/// the indent. The text may have our own colours in it.
pub fn wrap(text: &str, columns: usize, indent: &str) -> String {
    let columns = columns.max(indent.len() + ROOM_MIN);
    let mut out = String::with_capacity(text.len() + 16);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        break_line(line, columns, indent, &mut out);
    }
    out
}

fn break_line(line: &str, columns: usize, indent: &str, out: &mut String) {
    let mut column = 0;
    // After the last blank that has a word before it on this row.
    let mut blank = None;
    let mut has_word = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            out.push(c);
            for c in chars.by_ref() {
                out.push(c);
                if c == 'm' {
                    break;
                }
            }
            continue;
        }
        if column + width(c, column) > columns {
            let word = blank.take().map(|blank| (blank, room(&out[blank..])));
            match word.filter(|(_, word)| indent.len() + word + width(c, 0) <= columns) {
                Some((blank, word)) if !is_blank(c) => {
                    out.insert_str(blank, &format!("\n{indent}"));
                    column = indent.len() + word;
                }
                _ => {
                    out.push_str(&format!("\n{indent}"));
                    column = indent.len();
                }
            }
            has_word = false;
        }
        column += width(c, column);
        out.push(c);
        if !is_blank(c) {
            has_word = true;
        } else if has_word {
            blank = Some(out.len());
        }
    }
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Columns that a character takes there, at most: an unbroken row too short is no harm, one too long is.
const fn width(c: char, column: usize) -> usize {
    match c {
        '\t' => TAB - column % TAB,
        // The first wide letters are those of Hangul.
        '\0'..'\u{1100}' => 1,
        _ => 2,
    }
}

/// Columns of a word without tabs, in which there may be colours.
fn room(word: &str) -> usize {
    anstream::adapter::strip_str(word).to_string().chars().map(|c| width(c, 0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::{BOLD, styled};

    #[test]
    fn a_row_ends_at_a_blank_and_goes_on_behind_the_indent() {
        let wrapped = |text: &str| wrap(text, 20, "    ");
        assert_eq!(wrapped("short"), "short");
        assert_eq!(wrapped("a word and another one here"), "a word and another \n    one here");
        assert_eq!(wrapped("one\n    two"), "one\n    two");
        assert_eq!(wrapped(&"x".repeat(30)), format!("{}\n    {}", "x".repeat(20), "x".repeat(10)));
        assert_eq!(
            wrapped(&format!("a {}", "x".repeat(19))),
            format!("a {}\n    x", "x".repeat(18))
        );
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
        ] {
            for columns in [1, 13, 40, 80] {
                let wrapped = wrap(&text, columns, "    ");
                let plain = anstream::adapter::strip_str(&wrapped).to_string();
                for (number, row) in plain.lines().enumerate() {
                    let room = row.chars().fold(0, |column, c| column + width(c, column));
                    assert!(room <= columns.max(12), "{room} in {columns}: {row:?}");
                    assert!(number == 0 || row.starts_with("    "), "{row:?}");
                }
                let bare = |text: &str| text.replace([' ', '\n'], "");
                assert_eq!(bare(&wrapped), bare(&text), "nothing is lost");
            }
        }
    }
}
