//! Groups: changing their members, and listing them.

use std::collections::BTreeSet;

use thrum_api::event::{GROUP_CHANGED, GroupChanged};
use thrum_api::limits::GROUP_CHANGE_MAX_MEMBERS;
use thrum_api::local::{Group, GroupChangeParams, GroupListParams};
use thrum_api::{Address, Draft, Hlc, Timestamp, names};

use super::error::{AgentsError, views};
use super::store::Store;
use super::{Agents, send};
use crate::log::column::daemon_id;

/// Bytes of addresses in one event at most: far from the limit of an event, also with escapes.
const EVENT_ADDRESS_BYTES: usize = 64 * 1024;

/// `?2` one group, or NULL for all.
const MEMBERS: &str = "SELECT g.name, m.member
     FROM projects p CROSS JOIN groups g ON g.project = p.id AND (?2 IS NULL OR g.name = ?2)
       CROSS JOIN group_members m ON m.\"group\" = g.id AND m.present
     WHERE p.name = ?1 ORDER BY g.name, g.id, m.member";

/// The last change of a member: its daemon, how that calls itself, when, and whether it was added.
const LAST_CHANGE: &str =
    "SELECT m.origin, (SELECT name FROM machines WHERE origin = m.origin), m.hlc, m.present
     FROM projects p CROSS JOIN groups g ON g.project = p.id AND g.name = ?2
       CROSS JOIN group_members m ON m.\"group\" = g.id AND m.member = ?3
     WHERE p.name = ?1";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[MEMBERS, LAST_CHANGE];

impl Agents {
    /// Adds members to a group and removes others. What is so already is written nowhere. Answers the group.
    ///
    /// # Errors
    /// When names are invalid, when a member is a group or there are too many, when the views can't be brought up to the
    /// log, when the log refuses the events, and when a change is without effect because a machine whose clock is ahead
    /// has changed the same; the others are made then.
    pub async fn change_group(&self, params: GroupChangeParams) -> Result<Group, AgentsError> {
        let (name, project) = (group_name(&params.group)?, names::project(&params.project)?);
        let count = params.add.len() + params.remove.len();
        if count > GROUP_CHANGE_MAX_MEMBERS {
            return Err(AgentsError::TooManyMembers { count });
        }
        let (mut add, mut remove) = (members(&params.add)?, members(&params.remove)?);
        if let Some(both) = add.intersection(&remove).next() {
            return Err(AgentsError::AddedAndRemoved { member: both.to_string() });
        }
        self.digested(self.inner.log.head().position.sequence).await?;
        let before = self.group(&project, &name).await?;
        let before: BTreeSet<&str> = before.members.iter().map(String::as_str).collect();
        add.retain(|member| !before.contains(member.to_string().as_str()));
        remove.retain(|member| before.contains(member.to_string().as_str()));
        let drafts = drafts(&name, &project, &add, &remove)?;
        if !drafts.is_empty() {
            let appended = self.append(drafts).await?;
            let last = appended.last().ok_or(AgentsError::Stopping)?.sequence;
            self.digested(last).await?;
        }
        let group = self.group(&project, &name).await?;
        let after: BTreeSet<&str> = group.members.iter().map(String::as_str).collect();
        let is_member = |member: &Address| after.contains(member.to_string().as_str());
        let without_effect = add.iter().find(|member| !is_member(member));
        match without_effect.or_else(|| remove.iter().find(|member| is_member(member))) {
            Some(member) => Err(self.overruled(&project, name, member).await?),
            None => Ok(group),
        }
    }

    /// That another change of this member counts.
    async fn overruled(
        &self,
        project: &str,
        group: String,
        member: &Address,
    ) -> Result<AgentsError, AgentsError> {
        let (project, member) = (project.to_owned(), member.to_string());
        self.read(move |store| store.overruled(&project, group, member)).await
    }

    /// The groups of a project that have members, or one of them.
    ///
    /// # Errors
    /// When names are invalid, when there is no such group, and when the views can't be brought up to the log.
    pub async fn groups(&self, params: GroupListParams) -> Result<Vec<Group>, AgentsError> {
        let project = names::project(&params.project)?;
        let name = params.group.as_deref().map(group_name).transpose()?;
        self.digested(self.inner.log.head().position.sequence).await?;
        let asked = name.clone();
        let groups = self.read(move |store| store.groups(&project, asked.as_deref())).await?;
        match name {
            Some(name) if groups.is_empty() => Err(AgentsError::NoGroup { name }),
            _ => Ok(groups),
        }
    }

    /// A group, which has no members if it is not there.
    async fn group(&self, project: &str, name: &str) -> Result<Group, AgentsError> {
        let (project, asked) = (project.to_owned(), name.to_owned());
        let found = self.read(move |store| store.groups(&project, Some(&asked))).await?.pop();
        Ok(found.unwrap_or_else(|| Group { name: name.to_owned(), members: Vec::new() }))
    }
}

impl Store {
    /// The groups of a project, by name; the members are addresses as in events.
    pub(super) fn groups(
        &self,
        project: &str,
        name: Option<&str>,
    ) -> Result<Vec<Group>, AgentsError> {
        let doing = views("list groups");
        let mut query = self.connection.prepare_cached(MEMBERS).map_err(&doing)?;
        let mut rows = query.query(rusqlite::params![project, name]).map_err(&doing)?;
        let mut groups: Vec<Group> = Vec::new();
        while let Some(row) = rows.next().map_err(&doing)? {
            let (name, member): (String, String) =
                row.get(0).and_then(|name| Ok((name, row.get(1)?))).map_err(&doing)?;
            match groups.last_mut().filter(|group| group.name == name) {
                Some(group) => group.members.push(member),
                None => groups.push(Group { name, members: vec![member] }),
            }
        }
        Ok(groups)
    }

    fn overruled(
        &self,
        project: &str,
        group: String,
        member: String,
    ) -> Result<AgentsError, AgentsError> {
        let (machine, at, is_member) = self
            .connection
            .prepare_cached(LAST_CHANGE)
            .and_then(|mut change| {
                change.query_row(rusqlite::params![project, group, member], |row| {
                    let machine = row.get::<_, Option<String>>(1)?;
                    let origin = daemon_id(row.get(0)?);
                    let at = Hlc::from_bits(row.get::<_, i64>(2)?.cast_unsigned()).millis();
                    let at = Timestamp::from_millis(i64::try_from(at).unwrap_or(i64::MAX));
                    Ok((machine.unwrap_or_else(|| origin.to_string()), at, row.get(3)?))
                })
            })
            .map_err(views("look who has changed a group"))?;
        Ok(AgentsError::Overruled { group, member, is_member, machine, at })
    }
}

fn group_name(text: &str) -> Result<String, AgentsError> {
    Ok(names::group(text.strip_prefix('@').unwrap_or(text))?)
}

fn members(texts: &[String]) -> Result<BTreeSet<Address>, AgentsError> {
    let mut members = BTreeSet::new();
    for text in texts {
        let member: Address = text.parse()?;
        if let Address::Group(name) = member {
            return Err(AgentsError::GroupInGroup { name });
        }
        members.insert(member);
    }
    Ok(members)
}

/// The changes as events, each of a moderate size.
fn drafts(
    group: &str,
    project: &str,
    add: &BTreeSet<Address>,
    remove: &BTreeSet<Address>,
) -> Result<Vec<Draft>, AgentsError> {
    let empty = || GroupChanged { group: group.to_owned(), add: Vec::new(), remove: Vec::new() };
    let (mut bodies, mut body, mut bytes) = (Vec::new(), empty(), 0);
    let added = add.iter().map(|member| (true, member));
    for (is_added, member) in added.chain(remove.iter().map(|member| (false, member))) {
        let length = member.to_string().len();
        if bytes + length > EVENT_ADDRESS_BYTES {
            bodies.push(std::mem::replace(&mut body, empty()));
            bytes = 0;
        }
        bytes += length;
        let list = if is_added { &mut body.add } else { &mut body.remove };
        list.push(member.clone());
    }
    if bytes > 0 {
        bodies.push(body);
    }
    bodies.iter().map(|body| send::draft(GROUP_CHANGED, Some(project), body)).collect()
}
