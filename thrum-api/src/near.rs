//! Which name was perhaps meant by one that nobody has.

/// Fewer letters are in too many names.
const PART_MIN_CHARS: usize = 3;

/// Those of the names that were perhaps meant by `typed`, nearest first and each once. Upper and lower
/// case are the same.
pub fn near<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = typed.trim().to_lowercase();
    let letters = wanted.chars().count();
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let far = distance(&wanted, &lower);
            let slip = far <= 1 + letters / 4 && far < letters;
            let (short, long) =
                if lower.len() < wanted.len() { (&lower, &wanted) } else { (&wanted, &lower) };
            let part = short.chars().count() >= PART_MIN_CHARS && long.contains(short.as_str());
            (slip || part).then_some((far, name))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, name)| name).collect()
}

/// How many letters to change, add or drop to make `b` of `a` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut last = i;
        let mut left = i + 1;
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let changed = last + usize::from(from != *to);
            last = *cell;
            left = changed.min(last + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_are_counted() {
        let far = distance;
        assert_eq!((far("", ""), far("a", ""), far("", "ab")), (0, 1, 2));
        assert_eq!((far("laptop", "latop"), far("laptop", "lpatop")), (1, 2));
        assert_eq!((far("kitten", "sitting"), far("office", "office")), (3, 0));
    }

    #[test]
    fn a_slip_and_a_part_are_near_and_the_nearest_comes_first() {
        let of = |typed| near(typed, ["office", "Laptop", "laptop-2", "x", "laptop-2"]);
        assert_eq!(of("ofice"), ["office"]);
        assert_eq!(of("latop"), ["Laptop"]);
        assert_eq!(of("laptop2"), ["Laptop", "laptop-2"]);
        assert_eq!(of("lap"), ["Laptop", "laptop-2"]);
        assert_eq!(of("office.tail1.ts.net"), ["office"]);
        assert!(of("y").is_empty() && of("").is_empty() && of("server-x").is_empty());
    }
}
