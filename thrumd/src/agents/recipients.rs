//! What the views say of the recipients of a message that is being sent.

use rusqlite::params;
use thrum_api::{Address, similar_names};

use super::error::{AgentsError, views};
use super::send::Target;
use super::store::Store;

/// Names that are offered in place of one that nobody has.
const SIMILAR_MAX: usize = 5;

/// `?1` project, `?2` name.
const KNOWN_ANYWHERE: &str = "SELECT EXISTS (SELECT 1
     FROM projects p CROSS JOIN inboxes i ON i.agent = ?2 AND i.project = p.id
       CROSS JOIN agents a ON a.inbox = i.id AND NOT a.removed
     WHERE p.name = ?1)";
/// `?3` daemon.
const KNOWN_THERE: &str = "SELECT EXISTS (SELECT 1
     FROM projects p CROSS JOIN inboxes i ON i.agent = ?2 AND i.project = p.id
       CROSS JOIN agents a ON a.inbox = i.id AND a.origin = ?3 AND NOT a.removed
     WHERE p.name = ?1)";
const IS_GROUP: &str = "SELECT EXISTS (SELECT 1
     FROM projects p CROSS JOIN groups g ON g.project = p.id AND g.name = ?2
       CROSS JOIN group_members m ON m.\"group\" = g.id AND m.present
     WHERE p.name = ?1)";
/// `?2` daemon, or NULL for any.
const NAMES: &str = "SELECT i.agent
     FROM projects p CROSS JOIN inboxes i INDEXED BY inboxes_by_project ON i.project = p.id
     WHERE p.name = ?1 AND EXISTS (SELECT 1 FROM agents a
       WHERE a.inbox = i.id AND NOT a.removed AND (?2 IS NULL OR a.origin = ?2))
     ORDER BY i.agent";
const GROUPS: &str = "SELECT '@' || g.name
     FROM projects p CROSS JOIN groups g ON g.project = p.id
     WHERE p.name = ?1 AND EXISTS (SELECT 1 FROM group_members m
       WHERE m.\"group\" = g.id AND m.present)";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[KNOWN_ANYWHERE, KNOWN_THERE, IS_GROUP, NAMES, GROUPS];

/// A recipient that was not seen in the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownRecipient {
    pub(super) address: Address,
    /// Names that are known and look like it.
    pub(super) similar: Vec<String>,
}

impl Store {
    /// The addresses of these recipients: an `@name` is the group, if there is one.
    pub(super) fn addresses(
        &self,
        project: &str,
        targets: &[Target],
    ) -> Result<Vec<Address>, AgentsError> {
        let mut addresses: Vec<Address> = Vec::new();
        for target in targets {
            let address = match target {
                Target::Exactly(address) => address.clone(),
                Target::GroupOrAgent(name) => {
                    let is_group = self
                        .connection
                        .prepare_cached(IS_GROUP)
                        .and_then(|mut query| query.query_row([project, name], |row| row.get(0)))
                        .map_err(views("look for a group"))?;
                    match is_group {
                        true => Address::Group(name.clone()),
                        false => Address::agent(name)?,
                    }
                }
            };
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    /// Those of the addresses that were not seen in this project: a name on no daemon, or not on the one that it is
    /// named with.
    pub(super) fn unknown(
        &self,
        project: &str,
        addresses: &[Address],
    ) -> Result<Vec<UnknownRecipient>, AgentsError> {
        let doing = views("look for an agent");
        let mut unknown = Vec::new();
        for address in addresses {
            let Address::Agent { name, daemon } = address else { continue };
            let known: bool = match daemon {
                None => self
                    .connection
                    .prepare_cached(KNOWN_ANYWHERE)
                    .and_then(|mut query| query.query_row([project, name], |row| row.get(0))),
                Some(daemon) => {
                    self.connection.prepare_cached(KNOWN_THERE).and_then(|mut query| {
                        query.query_row(params![project, name, daemon.to_bytes()], |row| row.get(0))
                    })
                }
            }
            .map_err(&doing)?;
            if !known {
                let similar = self.similar(project, address).map_err(&doing)?;
                unknown.push(UnknownRecipient { address: address.clone(), similar });
            }
        }
        Ok(unknown)
    }

    /// Names of agents, and of groups, that may be meant.
    fn similar(&self, project: &str, address: &Address) -> rusqlite::Result<Vec<String>> {
        let Address::Agent { name: typed, daemon } = address else { return Ok(Vec::new()) };
        let origin = daemon.map(|daemon| daemon.to_bytes());
        let mut names = self.connection.prepare_cached(NAMES)?;
        let names = names.query_map(params![project, origin], |row| row.get::<_, String>(0))?;
        let mut known = names.collect::<rusqlite::Result<Vec<_>>>()?;
        if daemon.is_none() {
            let mut groups = self.connection.prepare_cached(GROUPS)?;
            for group in groups.query_map([project], |row| row.get(0))? {
                known.push(group?);
            }
        }
        let known = known.iter().map(String::as_str).filter(|name| !is_numbered_alike(typed, name));
        let similar = similar_names(typed, known).into_iter().take(SIMILAR_MAX);
        Ok(similar
            .map(|name| match daemon {
                Some(daemon) => format!("{name}@{daemon}"),
                None => name.to_owned(),
            })
            .collect())
    }
}

/// Whether two names differ in their numbers alone: agents are numbered, so that one is no slip for the other.
fn is_numbered_alike(typed: &str, known: &str) -> bool {
    let without = |name: &str| name.replace(|c: char| c.is_ascii_digit(), "");
    typed.contains(|c: char| c.is_ascii_digit()) && without(typed) == without(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_number_is_no_slip() {
        assert!(is_numbered_alike("worker-12", "worker-3"));
        assert!(!is_numbered_alike("worker", "worker2") && !is_numbered_alike("worke1", "worker2"));
    }
}
