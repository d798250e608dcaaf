//! From what a person types to a machine of the tailnet.

use std::net::SocketAddr;

use super::super::address::{Host, HostPort};
use super::{Entry, Nodes, TailnetError, Target};

/// How many names an error offers.
const OFFERS: usize = 3;

impl Nodes {
    /// The machine that a person means by `wanted`, which was typed as `typed`.
    pub(super) fn resolve(&self, typed: &str, wanted: &HostPort) -> Result<Target, TailnetError> {
        let entry = match &wanted.host {
            Host::Ip(ip) => self
                .by_address(ip.to_canonical())
                .ok_or_else(|| TailnetError::NotInTailnet { host: ip.to_string() })?,
            Host::Name(name) => self.by_name(typed, name)?,
        };
        let mut ips = entry.addresses.clone();
        if let Host::Ip(ip) = wanted.host {
            // The one that was typed comes first.
            ips.sort_by_key(|other| *other != ip.to_canonical());
        }
        Ok(Target {
            addresses: ips.into_iter().map(|ip| SocketAddr::new(ip, wanted.port)).collect(),
            node: Some(self.node(entry)),
            same_owner: self.same_owner(entry),
        })
    }

    /// A full name, else a name of this tailnet, else the first label of a name that was shared
    /// with us from another tailnet.
    fn by_name(&self, typed: &str, name: &str) -> Result<&Entry, TailnetError> {
        let local = format!("{name}.{}", self.suffix);
        for full in [name, local.as_str()] {
            if let Some(entry) = self.all().find(|entry| entry.name == full) {
                return Ok(entry);
            }
        }
        let matches: Vec<_> = self.all().filter(|entry| entry.label() == name).collect();
        match matches.as_slice() {
            [one] => Ok(one),
            [] => Err(TailnetError::NoSuchName {
                name: typed.to_owned(),
                tailnet: self.suffix.clone(),
                near: self.near(name),
            }),
            several => Err(TailnetError::Ambiguous {
                name: typed.to_owned(),
                matches: several.iter().map(|entry| entry.name.clone()).collect(),
            }),
        }
    }

    /// Names that were perhaps meant, nearest first.
    fn near(&self, name: &str) -> Vec<String> {
        let wanted = name.split('.').next().unwrap_or(name);
        let mut near: Vec<(usize, &str)> = self
            .all()
            .map(Entry::label)
            .filter(|label| !label.is_empty())
            .map(|label| (distance(wanted, label), label))
            .filter(|(far, label)| {
                *far <= 1 + wanted.len() / 4 || label.contains(wanted) || wanted.contains(label)
            })
            .collect();
        near.sort_unstable();
        near.dedup();
        near.into_iter().take(OFFERS).map(|(_, label)| label.to_owned()).collect()
    }
}

/// How many letters to change, add or drop to make `b` of `a`.
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
    #[test]
    fn letters_that_differ_are_counted() {
        let far = super::distance;
        assert_eq!((far("", ""), far("a", ""), far("", "ab")), (0, 1, 2));
        assert_eq!((far("laptop", "latop"), far("laptop", "lpatop")), (1, 2));
        assert_eq!((far("kitten", "sitting"), far("office", "office")), (3, 0));
    }
}
