//! Which metrics and labels a PromQL expression names. Prometheus parses it; this only looks for names.

use std::collections::BTreeSet;

/// A metric that an expression names.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: String,
    /// Labels in braces, with the values that are written out.
    pub matchers: Vec<(String, Vec<String>)>,
    /// Labels by which it is matched with what stands before it, and that are taken from it: `on`, `group_left`.
    pub matched: Vec<String>,
}

/// What an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub metrics: Vec<Metric>,
    /// The labels of `by`.
    pub grouped: BTreeSet<String>,
}

/// After these comes a list of labels. `without`, `ignoring` and `group_right` are not used.
const GROUPS: &[&str] = &["by"];
const MATCHES: &[&str] = &["on", "group_left"];
const OPERATORS: &[&str] = &["and", "or", "unless", "bool", "offset"];

/// Finds the names.
///
/// # Panics
/// When braces or brackets don't match.
pub fn names(expression: &str) -> Names {
    let mut names = Names::default();
    let (mut rest, mut matched) = (expression, Vec::new());
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' {
            let (word, after) = split(rest, |c| c.is_ascii_alphanumeric() || "_:".contains(c));
            let next = after.trim_start();
            let is_group = |word: &str| GROUPS.contains(&word);
            if is_group(word) || MATCHES.contains(&word) {
                let (list, after) = next.strip_prefix('(').unwrap().split_once(')').unwrap();
                let labels = list.split(',').map(|label| label.trim().to_owned());
                match is_group(word) {
                    true => names.grouped.extend(labels),
                    false => matched.extend(labels),
                }
                rest = after;
            } else if next.starts_with('(')
                || OPERATORS.contains(&word)
                || next.split([' ', '(']).next().is_some_and(is_group)
            {
                rest = after;
            } else {
                let (matchers, after) = match next.strip_prefix('{') {
                    Some(inside) => matchers(inside),
                    None => (Vec::new(), after),
                };
                let (name, matched) = (word.to_owned(), std::mem::take(&mut matched));
                names.metrics.push(Metric { name, matchers, matched });
                rest = after;
            }
        } else if first.is_ascii_digit() || first == '$' {
            // A number, a duration or a variable of the dashboard.
            rest = split(&rest[1..], |c| c.is_ascii_alphanumeric() || "._".contains(c)).1;
        } else if first == '[' {
            rest = rest.split_once(']').unwrap().1;
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    names
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// What stands in braces, and the rest after them.
fn matchers(mut rest: &str) -> (Vec<(String, Vec<String>)>, &str) {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return (found, after);
        }
        let (label, after) = split(rest, |c| c.is_ascii_alphanumeric() || c == '_');
        let (operator, after) = split(after, |c| "=!~".contains(c));
        assert!(!label.is_empty() && !operator.is_empty(), "{rest}");
        let (value, after) = after.strip_prefix('"').unwrap().split_once('"').unwrap();
        // The alternatives of a regular expression; what is no plain word is left out.
        let words = value.split('|').filter(|word| !word.contains(['$', '*', '[', '+', '(']));
        found.push((label.to_owned(), words.map(str::to_owned).collect()));
        rest = after;
    }
}

#[test]
fn the_names_of_an_expression_are_found() {
    let found = names(
        r#"histogram_quantile(0.99, sum by (job, le) (rate(a_bucket{b="c", d=~"e|f.*|g", h!="$x"}[5m]))) > 2 * j and on (job, k) group_left (l) n{} == 1e3"#,
    );
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let matchers = vec![
        ("b".to_owned(), strings(&["c"])),
        ("d".to_owned(), strings(&["e", "g"])),
        ("h".to_owned(), strings(&[])),
    ];
    let metrics: Vec<_> = found.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(metrics, ["a_bucket", "j", "n"]);
    assert_eq!(found.metrics[0].matchers, matchers);
    assert_eq!(found.metrics[1].matched, [""; 0]);
    assert_eq!(found.metrics[2].matched, ["job", "k", "l"]);
    assert_eq!(found.grouped, strings(&["job", "le"]).into_iter().collect());
}
