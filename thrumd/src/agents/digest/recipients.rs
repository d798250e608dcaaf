//! Who a message is for, by the addresses in its event.

use std::collections::BTreeSet;

use thrum_api::{DaemonId, names};

use super::super::failure::Failure;
use super::Page;

/// One address of a message, as it concerns this daemon.
pub(super) enum Recipient<'a> {
    /// Every agent of this name; the name is not checked yet.
    Anywhere(&'a str),
    /// The agent of this name on this daemon.
    Here(&'a str),
    /// An agent of another daemon: nobody here gets it.
    Elsewhere,
    /// The members of a group, by its checked name.
    Group(String),
}

impl<'a> Recipient<'a> {
    pub(super) fn parse(text: &'a str, here: DaemonId) -> Result<Self, Failure> {
        if let Some(group) = text.strip_prefix('@') {
            return Ok(Self::Group(names::group(group)?));
        }
        let Some((name, daemon)) = text.split_once('@') else {
            return Ok(Self::Anywhere(text));
        };
        names::agent(name)?;
        let daemon: DaemonId = daemon.parse().map_err(Failure::undigestible)?;
        Ok(if daemon == here { Self::Here(name) } else { Self::Elsewhere })
    }

    /// The name of an inbox that it is.
    pub(super) const fn inbox(&self) -> Option<&'a str> {
        match self {
            Self::Anywhere(name) | Self::Here(name) => Some(name),
            Self::Elsewhere | Self::Group(_) => None,
        }
    }
}

impl Page<'_> {
    /// The inboxes of the members of these groups who are agents of this machine now, except the sender's.
    pub(super) fn add_members(
        &self,
        recipients: &[Recipient<'_>],
        project: i64,
        sender: Option<i64>,
        inboxes: &mut BTreeSet<i64>,
    ) -> rusqlite::Result<()> {
        let groups = recipients.iter().filter_map(|recipient| match recipient {
            Recipient::Group(group) => Some(group),
            _ => None,
        });
        // A message may name one group many times.
        for group in groups.collect::<BTreeSet<_>>() {
            let members = self.members_here(project, group)?;
            inboxes.extend(members.into_iter().filter(|inbox| Some(*inbox) != sender));
        }
        Ok(())
    }
}
