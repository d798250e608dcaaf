//! Reads Prometheus's text format.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a family and the values that they have.
pub type Labels = BTreeMap<String, BTreeSet<String>>;

/// The families of a page of metrics.
pub fn families(text: &str) -> BTreeMap<String, Labels> {
    let kinds: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let mut families = BTreeMap::<String, Labels>::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = family_of(name, |base| kinds.get(base) == Some(&"histogram"));
        let labels = families.entry(family.to_owned()).or_default();
        for (label, value) in labels_of(line) {
            labels.entry(label).or_default().insert(value);
        }
    }
    families
}

/// The family that a sample belongs to.
pub fn family_of(name: &str, is_histogram: impl Fn(&str) -> bool) -> &str {
    let parts = ["_bucket", "_sum", "_count"];
    let base = parts.iter().find_map(|part| name.strip_suffix(part));
    base.filter(|base| is_histogram(base)).unwrap_or(name)
}

fn labels_of(line: &str) -> Vec<(String, String)> {
    let Some((_, mut rest)) = line.split_once('{') else { return Vec::new() };
    let mut labels = Vec::new();
    while let Some((name, after)) = rest.split_once("=\"") {
        let (mut value, mut chars) = (String::new(), after.char_indices());
        let end = loop {
            match chars.next().unwrap() {
                (_, '\\') => value.push(chars.next().unwrap().1),
                (at, '"') => break at + 1,
                (_, other) => value.push(other),
            }
        };
        labels.push((name.trim_start_matches(',').to_owned(), value));
        rest = &after[end..];
        if rest.starts_with('}') {
            break;
        }
    }
    labels
}

#[test]
fn labels_are_read_whatever_their_values_are() {
    let text = "# TYPE a histogram\na_bucket{le=\"+Inf\",b=\"c\\\"} d=\\\"e\"} 1\na_count 2\nf_count{g=\"\"} 3\n";
    let found = families(text);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "f_count"]);
    assert!(found["a"]["b"].contains("c\"} d=\"e"), "{found:?}");
    assert!(found["f_count"]["g"].contains(""));
}
