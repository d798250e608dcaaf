//! Names of peers and agents for shell completion.

use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use thrum_api::local::{AgentList, AgentListParams, PeerList};
use thrum_api::{Empty, label};

use crate::client::Client;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::project;

/// Limit for the query, because a person who pressed Tab waits.
const TIMEOUT: Duration = Duration::from_millis(100);

/// Names of the paired machines.
pub fn peers() -> Vec<CompletionCandidate> {
    names(async {
        let peers = daemon().await?.call::<PeerList>(&Empty {}).await?.peers;
        Ok(peers.iter().map(|peer| label::to_type(&peer.name, peer.daemon_id)).collect())
    })
}

/// Names of the agents of this project.
pub fn agents() -> Vec<CompletionCandidate> {
    names(async {
        let named = std::env::var("THRUM_PROJECT").ok().filter(|name| !name.is_empty());
        let project = named.or_else(|| Some(project::of(&std::env::current_dir().ok()?).name));
        let params = AgentListParams { project, all: false };
        let agents = daemon().await?.call::<AgentList>(&params).await?.agents;
        Ok(agents.into_iter().map(|agent| agent.name).collect())
    })
}

async fn daemon() -> Result<Client, Error> {
    let socket = std::env::var_os("THRUM_SOCKET").filter(|path| !path.is_empty());
    Client::find(&Endpoints::from_environment(socket.map(Into::into))).await
}

fn names(asked: impl Future<Output = Result<Vec<String>, Error>>) -> Vec<CompletionCandidate> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return Vec::new() };
    let answer = runtime.block_on(async { tokio::time::timeout(TIMEOUT, asked).await });
    let mut names = answer.ok().and_then(Result::ok).unwrap_or_default();
    // The names come from other machines and go through a shell, so only plain ones are offered.
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    names.retain(|name| !name.is_empty() && name.chars().all(harmless));
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}
