//! Names of peers, agents and groups, and ids of messages and sessions, for shell completion.

use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use thrum_api::local::{
    Agent, AgentList, AgentListParams, GroupList, GroupListParams, InboxParams, MessageInbox,
    MessageSent, MessageSentParams, PeerList, SocketList,
};
use thrum_api::{Empty, label};

use crate::client::Client;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::format::message_id;
use crate::project;

/// Limit for the query, because a person who pressed Tab waits.
const TIMEOUT: Duration = Duration::from_millis(100);
/// Most messages that are offered of those that came, and of those that were sent.
const MESSAGES_MAX: u32 = 20;
/// How much of a message's text explains its id.
const EXCERPT_CHARS: usize = 40;

/// Something to offer, and what it is.
type Offer = (String, Option<String>);

/// Names of the paired machines.
pub fn peers() -> Vec<CompletionCandidate> {
    offered(async {
        let peers = daemon().await?.call::<PeerList>(&Empty {}).await?.peers;
        Ok(bare(peers.iter().map(|peer| label::to_type(&peer.name, peer.daemon_id))))
    })
}

/// Names of the agents of this project.
pub fn names() -> Vec<CompletionCandidate> {
    offered(async {
        let agents = team(&mut daemon().await?).await?;
        Ok(bare(agents.into_iter().map(|agent| agent.name)))
    })
}

/// What a message can be sent to: names of agents, `name@machine` for those on several machines, `@group`.
pub fn addresses() -> Vec<CompletionCandidate> {
    offered(async {
        let mut daemon = daemon().await?;
        let agents = team(&mut daemon).await?;
        // An older thrumd has no groups.
        let groups = groups_of(&mut daemon).await.unwrap_or_default();
        Ok(bare(reachable(&agents).into_iter().chain(groups.iter().map(|name| format!("@{name}")))))
    })
}

/// Names of the groups of this project.
pub fn groups() -> Vec<CompletionCandidate> {
    offered(async { Ok(bare(groups_of(&mut daemon().await?).await?)) })
}

/// Ids of the newest messages that the agent of the environment got and sent, each with the beginning of its text.
pub fn messages() -> Vec<CompletionCandidate> {
    offered(async {
        let (Some(agent), Some(project)) = (variable("THRUM_AGENT"), this_project()) else {
            return Ok(Vec::new());
        };
        let mut daemon = daemon().await?;
        let params = InboxParams {
            agent: agent.clone(),
            project: Some(project.clone()),
            limit: Some(MESSAGES_MAX),
            ..InboxParams::default()
        };
        let inbox = daemon.call::<MessageInbox>(&params).await?.messages;
        let got = inbox.iter().map(|it| (it.event_id, format!("{}: {}", it.from, it.text)));
        let mut found: Vec<_> = got.collect();
        let params = MessageSentParams { agent, project, before: None, limit: Some(MESSAGES_MAX) };
        if let Ok(sent) = daemon.call::<MessageSent>(&params).await {
            let sent = sent.messages.into_iter();
            found.extend(sent.map(|it| (it.message.event_id, format!("sent: {}", it.text))));
        }
        Ok(found.into_iter().map(|(id, text)| (message_id(id), Some(excerpt(&text)))).collect())
    })
}

/// Ids of the sessions of the agent of the environment.
pub fn sessions() -> Vec<CompletionCandidate> {
    offered(async {
        let agent = variable("THRUM_AGENT");
        let agents = team(&mut daemon().await?).await?;
        let mine = agents.into_iter().filter(|it| agent.as_ref().is_none_or(|own| *own == it.name));
        let sessions = mine.flat_map(|it| it.sessions);
        Ok(sessions.map(|it| (it.id, it.tool.map(|tool| excerpt(&tool)))).collect())
    })
}

/// Paths of the narrow sockets.
pub fn sockets() -> Vec<CompletionCandidate> {
    offered(async {
        let sockets = daemon().await?.call::<SocketList>(&Empty {}).await?.sockets;
        Ok(bare(sockets.into_iter().map(|socket| socket.path)))
    })
}

async fn daemon() -> Result<Client, Error> {
    let socket = std::env::var_os("THRUM_SOCKET").filter(|path| !path.is_empty());
    Client::find(&Endpoints::from_environment(socket.map(Into::into))).await
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn this_project() -> Option<String> {
    variable("THRUM_PROJECT").or_else(|| Some(project::of(&std::env::current_dir().ok()?).name))
}

async fn team(daemon: &mut Client) -> Result<Vec<Agent>, Error> {
    let params = AgentListParams { project: this_project(), all: false };
    Ok(daemon.call::<AgentList>(&params).await?.agents)
}

async fn groups_of(daemon: &mut Client) -> Result<Vec<String>, Error> {
    let Some(project) = this_project() else { return Ok(Vec::new()) };
    let groups = daemon.call::<GroupList>(&GroupListParams { project, group: None }).await?.groups;
    Ok(groups.into_iter().map(|group| group.name).collect())
}

/// The names of agents, and for each that is on several machines also one address a machine.
fn reachable(agents: &[Agent]) -> Vec<String> {
    let mut all = Vec::new();
    for agent in agents {
        all.push(agent.name.clone());
        if agents.iter().filter(|other| other.name == agent.name).count() > 1 {
            let machine = agent.machine.as_deref().unwrap_or_default();
            all.push(format!("{}@{}", agent.name, label::to_type(machine, agent.daemon_id)));
        }
    }
    all
}

fn bare(names: impl IntoIterator<Item = String>) -> Vec<Offer> {
    names.into_iter().map(|name| (name, None)).collect()
}

/// The beginning of a foreign text. It goes through a shell, so only plain characters are left of it.
fn excerpt(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.,".contains(c) { c } else { ' ' };
    let words: String = text.chars().take(4 * EXCERPT_CHARS).map(plain).collect();
    let words: Vec<&str> = words.split_whitespace().collect();
    words.join(" ").chars().take(EXCERPT_CHARS).collect()
}

fn offered(asked: impl Future<Output = Result<Vec<Offer>, Error>>) -> Vec<CompletionCandidate> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return Vec::new() };
    let answer = runtime.block_on(async { tokio::time::timeout(TIMEOUT, asked).await });
    let mut offers = answer.ok().and_then(Result::ok).unwrap_or_default();
    // The names come from other machines and go through a shell, so only plain ones are offered.
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    offers.retain(|(name, _)| !name.is_empty() && name.chars().all(harmless));
    offers.sort();
    offers.dedup_by(|one, other| one.0 == other.0);
    let candidate = |(name, what): Offer| CompletionCandidate::new(name).help(what.map(Into::into));
    offers.into_iter().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_excerpt_is_plain_text_on_one_line() {
        let shown = excerpt("planner: $(rm -rf ~) `x`\n\u{1b}[2J it's \"done\"; see docs/a.md, ok");
        assert_eq!(shown, "planner rm -rf x 2J it s done see docs a");
    }

    #[test]
    fn a_name_on_two_machines_is_offered_with_each() {
        let agent = |name: &str, machine: &str, last: u8| -> Agent {
            serde_json::from_value(json!({
                "name": name, "machine": machine, "state": "gone",
                "daemon_id": thrum_api::DaemonId::from_bytes([last; 32]),
                "since": "1970-01-01T00:00:00Z", "last_seen": "1970-01-01T00:00:00Z",
            }))
            .unwrap()
        };
        let agents = [agent("a", "laptop", 1), agent("b", "laptop", 1), agent("b", "old mac", 2)];
        let all = reachable(&agents);
        assert_eq!(all[..4], ["a", "b", "b@laptop", "b"]);
        assert!(all[4].starts_with("b@d_"), "{all:?}");
    }
}
