//! A block of ours between two marks in a text.

use super::{Added, Outcome, Removed, line_end, split_mark, without_blank_line};

const BEGIN: &str = "<!-- thrum: begin -->";
const END: &str = "<!-- thrum: end -->";

/// Adds the block at the end of a text, or puts it in the place of the one that is there.
///
/// # Errors
/// When only one of the marks is there.
pub fn add(text: &str, block: &str) -> Result<Added, String> {
    let end = line_end(text);
    let block = format!("{BEGIN}\n{}\n{END}\n", block.trim()).replace('\n', end);
    let there = block_in(text)?;
    let (text, outcome) = match there {
        Some((begin, stop)) if text[begin..stop] == block => (text.to_owned(), Outcome::Present),
        Some((begin, stop)) => {
            let after = format!("{}{block}{}", &text[..begin], &text[stop..]);
            (after, Outcome::Replaced(text[begin..stop].to_owned()))
        }
        None => {
            let gap = match text {
                _ if split_mark(text).1.is_empty() => "",
                _ if text.ends_with('\n') => end,
                _ => &format!("{end}{end}"),
            };
            (format!("{text}{gap}{block}"), Outcome::New)
        }
    };
    Ok(Added { text, outcomes: vec![outcome], made: Vec::new() })
}

/// Takes the block out of a text, and the blank line before it.
///
/// # Errors
/// As [`add`].
pub fn remove(text: &str) -> Result<Removed, String> {
    let Some((begin, stop)) = block_in(text)? else {
        return Ok(Removed { text: text.to_owned(), count: 0, is_empty: false });
    };
    let rest = format!("{}{}", without_blank_line(&text[..begin]), &text[stop..]);
    let is_empty = split_mark(&rest).1.trim().is_empty();
    Ok(Removed { text: rest, count: 1, is_empty })
}

/// Where the block is: from its first mark to the end of the line of its second.
fn block_in(text: &str) -> Result<Option<(usize, usize)>, String> {
    let marks = (text.find(BEGIN), text.find(END));
    match marks {
        (None, None) => Ok(None),
        (Some(begin), Some(end)) if begin < end && text.matches(BEGIN).count() == 1 => {
            let after = &text[end..];
            Ok(Some((begin, end + after.find('\n').map_or(after.len(), |at| at + 1))))
        }
        _ => Err(format!("the lines {BEGIN} and {END} in it are no pair")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_added_once_and_taken_out_without_a_trace() {
        for text in ["", "# App\n", "# App\r\n\r\nRules\r\n", "no line end", "\u{feff}# App\n"] {
            let added = add(text, "one\ntwo\n").unwrap();
            assert!(added.text.starts_with(text), "{text:?}");
            assert_eq!(added.text.contains('\r'), text.contains('\r'));
            let again = add(&added.text, "one\ntwo").unwrap();
            assert_eq!((again.text, &again.outcomes[0]), (added.text.clone(), &Outcome::Present));
            let removed = remove(&added.text).unwrap();
            assert_eq!(removed.text.trim_end(), text.trim_end());
            assert_eq!(removed.is_empty, text.is_empty());
        }
    }

    #[test]
    fn an_older_block_is_replaced_where_it_is() {
        let text = format!("a\n\n{BEGIN}\nold\n{END}\nb\n");
        let added = add(&text, "new").unwrap();
        assert_eq!(added.text, format!("a\n\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(added.outcomes, [Outcome::Replaced(format!("{BEGIN}\nold\n{END}\n"))]);
        assert_eq!(remove(&added.text).unwrap().text, "a\nb\n");
    }

    #[test]
    fn marks_that_are_no_pair_are_left_alone() {
        for text in [BEGIN, END, &format!("{END}{BEGIN}"), &format!("{BEGIN}{BEGIN}{END}")] {
            assert!(add(text, "x").is_err() && remove(text).is_err(), "{text}");
        }
        assert_eq!(
            remove("x\n").unwrap(),
            Removed { text: "x\n".into(), count: 0, is_empty: false }
        );
    }
}
