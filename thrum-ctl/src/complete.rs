//! What a shell offers on Tab: words of the command line, and live names of peers and agents.

use std::ffi::OsString;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use clap_complete::env::CompleteEnv;
use thrum_api::Empty;
use thrum_api::local::{AgentList, AgentListParams, PeerList};

use crate::cli;
use crate::client::Client;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::project;

/// The variable in which a shell's script says that it wants to complete.
pub const VARIABLE: &str = "COMPLETE";
/// A person who presses Tab waits no longer than this for names.
const TIMEOUT: Duration = Duration::from_millis(100);

/// Answers a shell that completes, if one asked. Never says what went wrong: that would land in the
/// middle of the line that is being typed.
pub fn answered(arguments: &[OsString]) -> bool {
    let wanted = std::env::var_os(VARIABLE);
    if wanted.is_none_or(|shell| shell.is_empty() || shell == "0") {
        return false;
    }
    // Scripts put `--` before the line that is to be completed; without a line the script is asked for.
    // Else somebody has that variable for something else, and wants the command.
    if arguments.get(1).is_some_and(|word| word != "--") {
        return false;
    }
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(cli::command)
        .bin("thrum")
        .try_complete(arguments.iter().cloned(), folder.as_deref())
        .unwrap_or(arguments.len() > 1)
}

/// Names of the paired machines.
pub fn peers() -> Vec<CompletionCandidate> {
    names(async {
        let peers = daemon().await?.call::<PeerList>(&Empty {}).await?.peers;
        Ok(peers.into_iter().map(|peer| peer.name).collect())
    })
}

/// Names of the agents of this project.
pub fn agents() -> Vec<CompletionCandidate> {
    names(async {
        let named = std::env::var("THRUM_PROJECT").ok().filter(|name| !name.is_empty());
        let project = named.or_else(|| Some(project::of(&std::env::current_dir().ok()?)));
        let params = AgentListParams { project };
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
    // What a machine or an agent elsewhere calls itself goes through a shell: only plain names.
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    names.retain(|name| !name.is_empty() && name.chars().all(harmless));
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}
