//! Sending messages, and joining: without waiting for the views.

use std::collections::BTreeSet;
use std::time::Duration;

use thrum_api::event::AgentJoined;
use thrum_api::local::{Appended, MessageSendParams, MessageSendResult, RecipientStatus};
use thrum_api::{Address, Draft, Sequence};

use super::Agents;
use super::delivery::Outlook;
use super::digest::PAGE_EVENTS;
use super::error::AgentsError;
use super::recipients::UnknownRecipient;
use super::send::{self, OutgoingMessage, Target};
use super::sessions::brake::Other;
use super::sessions::live::AgentKey;
use super::store::Store;
use crate::clock;

/// How long a message that is being sent waits for views that are nearly up to date, to say which recipients are
/// unknown.
const UNKNOWN_MAX: Duration = Duration::from_millis(100);
/// One that only waits joins again after this long, a day, so that it stays listed.
pub(super) const SEEN_AGAIN_AFTER_MILLIS: u64 = 24 * 3600 * 1000;

impl Agents {
    /// Writes a message event (and `agent.joined` the first time that a name is used here). It doesn't wait for the
    /// views, except to know whether `@name` is a group: while they are behind, it is not said which recipients are
    /// unknown, and a name may join once more.
    ///
    /// # Errors
    /// When names, text or recipients are invalid, when nobody has seen a recipient and similar names are known, when the
    /// message that is answered is not here, and when the log refuses the event.
    pub async fn send(&self, params: MessageSendParams) -> Result<MessageSendResult, AgentsError> {
        // Whom an answer goes to by itself has no slip.
        let anyway = params.anyway || params.to.is_empty();
        let mut message = OutgoingMessage::new(params)?;
        self.take_parent(&mut message).await?;
        let all = message.all;
        let (from, project) = (message.from.clone(), message.project.clone());
        let head = self.inner.log.head().position.sequence;
        let has_group = message.to.iter().any(|to| matches!(to, Target::GroupOrAgent(_)));
        if has_group {
            self.digested(head).await?;
        }
        let current = self.inner.progress.borrow().has(head);
        let targets = std::mem::take(&mut message.to);
        let mut marked: BTreeSet<String> = targets.iter().filter_map(Target::marked).collect();
        for target in &targets {
            // Who also names it without the @ means the agent.
            if let Target::Exactly(Address::Agent { name, daemon: None }) = target {
                marked.remove(name);
            }
        }
        let looked = self.look_up(&project, &from, (targets, all), has_group).await?;
        let SenderLookup { known, to, unknown, outlook } = looked;
        let (mut unknown, outlook) = match current || unknown.is_empty() {
            true => (unknown, outlook),
            false => {
                let asked = (unknown, from.clone(), to.clone());
                let known_now = self.still_unknown(&project, asked, head).await;
                known_now.unwrap_or((Vec::new(), outlook))
            }
        };
        // The first message of an agent may be to itself.
        let is_sender = |address: &Address| {
            matches!(address, Address::Agent { name, daemon }
                if *name == from && daemon.is_none_or(|it| it == self.inner.log.daemon()))
        };
        unknown.retain(|it| !is_sender(&it.address));
        if !anyway {
            refuse_missing_groups(&marked, &unknown)?;
            refuse_mistyped(&unknown)?;
        }
        let draft = message.into_draft(to)?;
        let written = match known {
            true => self.append(vec![draft]).await?,
            false => self.join(&project, &from, Some(draft)).await?,
        };
        let written = written.last().ok_or(AgentsError::Stopping)?;
        let other = |it: &RecipientStatus| Some((it.agent.clone(), it.daemon_id?));
        let others = outlook.recipients.iter().filter_map(other);
        let others = others.map(|(agent, daemon)| Other { agent, daemon }).collect();
        self.count_messages(&AgentKey { project, agent: from }, others);
        Ok(MessageSendResult {
            event_id: written.event_id,
            sequence: written.sequence,
            unknown: unknown.iter().map(|it| it.address.to_string()).collect(),
            recipients: outlook.recipients,
            total: outlook.total,
        })
    }

    /// What the views say now of a sender and of recipients. While they can't be read, nobody is known. `must_know`:
    /// what the recipients are depends on the views.
    async fn look_up(
        &self,
        project: &str,
        from: &str,
        (targets, all): (Vec<Target>, bool),
        must_know: bool,
    ) -> Result<SenderLookup, AgentsError> {
        let (machines, head) = (self.machines_now(), self.inner.log.head().position.sequence);
        let (within, name, asked) = (project.to_owned(), from.to_owned(), targets.clone());
        let look = self.read(move |store| {
            let known = store.last_seen(&within, &name)?.is_some();
            let to = store.addresses(&within, &asked)?;
            let unknown = store.unknown(&within, &to)?;
            let outlook = store.outlook(&within, (&name, &to, all), &machines, head)?;
            Ok(SenderLookup { known, unknown, to, outlook })
        });
        match look.await {
            Ok(look) => Ok(look),
            Err(error) if must_know || matches!(error, AgentsError::Stopping) => Err(error),
            Err(_) => {
                let address = |target| match target {
                    Target::Exactly(address) => Some(address),
                    Target::GroupOrAgent(_) => None,
                };
                let to = targets.into_iter().filter_map(address).collect();
                Ok(SenderLookup { to, ..SenderLookup::default() })
            }
        }
    }

    /// Those of the recipients that are unknown also to views with everything up to `head`, and whom a message from
    /// this sender to these addresses would reach. None, if those can't be had in a moment.
    async fn still_unknown(
        &self,
        project: &str,
        (unknown, from, to): (Vec<UnknownRecipient>, String, Vec<Address>),
        head: Sequence,
    ) -> Option<(Vec<UnknownRecipient>, Outlook)> {
        let digested = self.digested_up_to().unwrap_or_default();
        if head.0.saturating_sub(digested.0) > PAGE_EVENTS as u64 {
            return None;
        }
        let machines = self.machines_now();
        let project = project.to_owned();
        let addresses: Vec<Address> = unknown.into_iter().map(|it| it.address).collect();
        let look = async {
            self.digested(head).await?;
            let read = move |store: &Store| {
                let unknown = store.unknown(&project, &addresses)?;
                let outlook = store.outlook(&project, (&from, &to, false), &machines, head)?;
                Ok(Some((unknown, outlook)))
            };
            self.read(read).await
        };
        let looked = tokio::time::timeout(UNKNOWN_MAX, look).await;
        looked.unwrap_or(Ok(None)).unwrap_or_default()
    }

    /// Whether an agent was seen on this daemon: at any time, or within the last day.
    async fn was_seen(&self, project: &str, agent: &str, ever: bool) -> Result<bool, AgentsError> {
        let (project, agent) = (project.to_owned(), agent.to_owned());
        let seen = self.read(move |store| store.last_seen(&project, &agent)).await?;
        let counts = |at| ever || clock::now().millis_since(at) < SEEN_AGAIN_AFTER_MILLIS;
        Ok(seen.is_some_and(counts))
    }

    /// Writes that an agent has joined, unless it was seen lately, and `then` in the same append. With something to
    /// write that shows it anyway, unless it was ever seen. As far as the views know now: an agent joins again if
    /// they are behind and this process has not written that it joined.
    pub(super) async fn join(
        &self,
        project: &str,
        agent: &str,
        then: Option<Draft>,
    ) -> Result<Vec<Appended>, AgentsError> {
        let ever = then.is_some();
        if !ever && self.was_seen(project, agent, ever).await? {
            return Ok(Vec::new());
        }
        let mut joined = self.inner.joining.lock().await;
        joined.forget_digested(&self.inner.progress.borrow());
        let is_here = joined.contain(project, agent)
            || self.was_seen(project, agent, ever).await.unwrap_or(false);
        if is_here {
            drop(joined);
            return match then {
                Some(draft) => self.append(vec![draft]).await,
                None => Ok(Vec::new()),
            };
        }
        let mut drafts = vec![send::joined(project, &self.announced(agent, None))?];
        drafts.extend(then);
        let appended = self.append(drafts).await?;
        if let Some(event) = appended.first() {
            joined.add(project, agent, event.sequence);
        }
        Ok(appended)
    }

    /// What is told of an agent of this machine.
    pub(super) fn announced(&self, agent: &str, about: Option<String>) -> AgentJoined {
        AgentJoined { agent: agent.to_owned(), machine: Some(self.inner.name.to_string()), about }
    }

    pub(super) async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, AgentsError> {
        let refused =
            |source| AgentsError::Log { doing: "write to the log", source: Box::new(source) };
        self.inner.log.append(drafts).await.map_err(refused)
    }
}

/// Refuses a message to `@name` if there is neither a group nor an agent of that name: who wrote the `@` meant one that is
/// there.
fn refuse_missing_groups(
    marked: &BTreeSet<String>,
    unknown: &[UnknownRecipient],
) -> Result<(), AgentsError> {
    for it in unknown {
        if let Address::Agent { name, daemon: None } = &it.address
            && marked.contains(name)
        {
            return Err(AgentsError::NoGroup { name: name.clone() });
        }
    }
    Ok(())
}

/// Refuses a message to names that nobody has seen, if similar ones are known.
fn refuse_mistyped(unknown: &[UnknownRecipient]) -> Result<(), AgentsError> {
    let mistyped = unknown.iter().filter(|it| !it.similar.is_empty());
    let names: Vec<String> = mistyped.map(|it| it.address.to_string()).collect();
    match names.is_empty() {
        true => Ok(()),
        false => {
            let similar = unknown.iter().flat_map(|it| it.similar.clone()).collect();
            Err(AgentsError::UnknownRecipients { names, similar })
        }
    }
}

/// What the views say of a message that is being sent.
#[derive(Default)]
struct SenderLookup {
    /// The sender was seen on this daemon.
    known: bool,
    /// The recipients.
    to: Vec<Address>,
    /// Those that were not seen in this project.
    unknown: Vec<UnknownRecipient>,
    /// Whom it would reach.
    outlook: Outlook,
}
