//! How machines are shown to people, and what a person can type for one.

use std::collections::HashMap;

use crate::ids::DaemonId;

/// Whether a machine's name can be shown and typed as it is: ASCII letters and digits, `-`, `_`, `.`, and single
/// spaces between them. Anything else could be invisible, look like another name, or like a label.
pub fn is_plain(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    !name.is_empty()
        && name.chars().all(allowed)
        && name.split(' ').all(|word| !word.is_empty())
        && !name.to_ascii_lowercase().starts_with("d_")
}

/// The abbreviated id: `d_01K..7G`.
pub fn short_id(id: DaemonId) -> String {
    let text = id.to_string();
    let (head, tail) = (text.get(..5), text.get(text.len().saturating_sub(2)..));
    format!("{}..{}", head.unwrap_or_default(), tail.unwrap_or_default())
}

/// The label of a machine among `others`: its name, followed by its id if the name is not plain or one of them has
/// it. The id is abbreviated if that is different from all of theirs.
pub fn label<N: AsRef<str>>(
    name: &str,
    id: DaemonId,
    others: impl IntoIterator<Item = (DaemonId, N)>,
) -> String {
    let short = short_id(id);
    let (mut alone, mut short_is_unique) = (is_plain(name), true);
    for (other, its_name) in others {
        alone &= !its_name.as_ref().eq_ignore_ascii_case(name);
        short_is_unique &= short_id(other) != short;
    }
    compose(name, id, alone, short_is_unique)
}

/// The labels of all of these machines, as [`label`] gives each of them among the others. What that costs for each does
/// not grow with the others.
pub fn labels<N: AsRef<str>>(machines: &[(DaemonId, N)]) -> Vec<String> {
    let (mut names, mut shorts) = (HashMap::<_, u32>::new(), HashMap::<_, u32>::new());
    for (id, name) in machines {
        *names.entry(name.as_ref().to_ascii_lowercase()).or_default() += 1;
        *shorts.entry(short_id(*id)).or_default() += 1;
    }
    let one = |(id, name): &(DaemonId, N)| {
        let name = name.as_ref();
        let alone = is_plain(name) && names.get(&name.to_ascii_lowercase()) == Some(&1);
        compose(name, *id, alone, shorts.get(&short_id(*id)) == Some(&1))
    };
    machines.iter().map(one).collect()
}

fn compose(name: &str, id: DaemonId, alone: bool, short_is_unique: bool) -> String {
    match (alone, short_is_unique) {
        (true, _) => name.to_owned(),
        (false, true) => format!("{name} ({})", short_id(id)),
        (false, false) => format!("{name} ({id})"),
    }
}

/// The id, full or abbreviated, that a label ends with.
pub fn id_in(label: &str) -> Option<&str> {
    let (_, id) = label.rsplit_once(" (")?;
    id.strip_suffix(')').filter(|id| id.starts_with("d_"))
}

/// What to type for a machine with this label: the label, if it is a name of one plain word, else the id.
pub fn to_type(label: &str, id: DaemonId) -> String {
    if is_plain(label) && !label.contains(' ') { label.to_owned() } else { id.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DaemonId {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_that_is_not_plain_or_not_unique_is_shown_with_an_id() {
        let ours = id("d_01KABCDEFGHJKMNPQRSTVWXY000000000000000000000000007G");
        let (alike, other) = (
            id("d_01KZBCDEFGHJKMNPQRSTVWXY000000000000000000000000007G"),
            id("d_01KABCDEFGHJKMNPQRSTVWXY000000000000000000000000008G"),
        );
        let of =
            |name: &str, others: &[(DaemonId, &str)]| label(name, ours, others.iter().copied());
        for plain in ["laptop", "My Mac.local", "vm_1-b"] {
            assert_eq!(of(plain, &[(other, "server")]), plain);
        }
        assert_eq!(of("laptop", &[(other, "LAPTOP")]), "laptop (d_01K..7G)");
        assert_eq!(of("laptop", &[(alike, "laptop")]), format!("laptop ({ours})"));
        for odd in ["\u{200b}", "", " ", "a  b", "b ", "l\u{430}ptop", "x (d_01K..8G)", "d_01K..8G"]
        {
            assert_eq!(of(odd, &[]), format!("{odd} (d_01K..7G)"));
            assert_eq!(to_type(&of(odd, &[]), ours), ours.to_string());
        }
        assert_eq!(to_type("laptop", ours), "laptop");
        assert_eq!(to_type("My Mac", ours), ours.to_string());
    }

    #[test]
    fn the_labels_of_all_are_those_of_each_among_the_others() {
        let ids = [
            "d_01KABCDEFGHJKMNPQRSTVWXY000000000000000000000000007G",
            "d_01KZBCDEFGHJKMNPQRSTVWXY000000000000000000000000007G",
            "d_01KABCDEFGHJKMNPQRSTVWXY000000000000000000000000008G",
            "d_01KABCDEFGHJKMNPQRSTVWXY000000000000000000000000009G",
        ]
        .map(id);
        for names in [
            ["laptop", "server", "vm", "nas"],
            ["laptop", "Laptop", "vm", "nas"],
            ["l\u{430}ptop", "laptop", "laptop", " "],
            ["vm", "vm", "vm", "vm"],
        ] {
            let machines: Vec<_> = ids.into_iter().zip(names).collect();
            let each = machines.iter().map(|(id, name)| {
                let others = machines.iter().filter(|(other, _)| other != id).copied();
                label(name, *id, others)
            });
            assert_eq!(labels(&machines), each.collect::<Vec<_>>());
        }
    }
}
