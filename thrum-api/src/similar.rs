//! Suggestions for a name that does not exist.

/// Minimum length of a part of a name: shorter ones occur in too many names.
const PART_MIN_CHARS: usize = 3;

/// The names that are similar to `typed`, without duplicates, sorted by edit distance. Case is ignored.
pub fn similar_names<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = typed.trim().to_lowercase();
    let letters = wanted.chars().count();
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let distance = strsim::levenshtein(&wanted, &lower);
            let typo = distance <= 1 + letters / 4 && distance < letters;
            let (short, long) =
                if lower.len() < wanted.len() { (&lower, &wanted) } else { (&wanted, &lower) };
            let part = short.chars().count() >= PART_MIN_CHARS && long.contains(short.as_str());
            (typo || part).then_some((distance, name))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_and_parts_are_found_and_the_nearest_comes_first() {
        let of = |typed| similar_names(typed, ["office", "Laptop", "laptop-2", "x", "laptop-2"]);
        assert_eq!(of("ofice"), ["office"]);
        assert_eq!(of("latop"), ["Laptop"]);
        assert_eq!(of("laptop2"), ["Laptop", "laptop-2"]);
        assert_eq!(of("lap"), ["Laptop", "laptop-2"]);
        assert_eq!(of("office.tail1.ts.net"), ["office"]);
        assert!(of("y").is_empty() && of("").is_empty() && of("server-x").is_empty());
    }
}
