//! `thrum mcp`: the tools of messages for an agent's tool, over MCP on stdin and stdout. Both handshakes are spoken on the one
//! pipe: `initialize` (2025-11-25 and before) and `server/discover` (2026-07-28).

mod answer;
mod arguments;
mod begin;
mod caller;
mod calls;
mod in_flight;
mod message;
mod presence;
mod rest;
mod server;
mod stdio;
mod tools;
mod waking;
mod who;
mod wire;
mod words;

use std::io::IsTerminal as _;
use std::time::Duration;

use rmcp::ServiceExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::Context;
use crate::error::Error;
use crate::setup::Tool;
use begin::Beginning;
use in_flight::InFlight;
use server::Server;
use who::Asker;
use wire::Wire;

/// How long answers that are under way may take after the end of the input, and marks after their answers.
const END_LIMIT: Duration = Duration::from_millis(500);

/// Serves the tool on stdin and stdout until it leaves.
///
/// # Errors
/// When signals can't be listened for.
pub async fn run(tool: Option<Tool>, context: &mut Context<'_>) -> Result<(), Error> {
    if std::io::stdin().is_terminal() {
        context.printer.note("thrum mcp is started by the tools of agents: it speaks MCP on stdin and stdout. To set one up: thrum init");
    }
    let listen =
        |kind| signal(kind).map_err(|source| Error::io("can't listen for signals", source));
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (in_flight, marking) = (InFlight::default(), TaskTracker::new());
    let ended = CancellationToken::new();
    let wire = Wire::new(stdio::open(), in_flight.clone(), marking.clone(), ended.clone());
    let beginning = Beginning::new(Asker::new(tool, context));
    // In the background: the first answer does not wait for the daemon.
    beginning.at_start();
    let server = Server::new(beginning, in_flight, ended.clone());
    let serving = async {
        // Why a client could not be served, it was told over the pipe.
        if let Ok(running) = Box::pin(server.serve(wire)).await {
            drop(running.waiting().await);
        }
    };
    let serving = Box::pin(serving);
    let finished = async {
        tokio::select! {
            () = serving => {}
            () = async {
                ended.cancelled().await;
                tokio::time::sleep(END_LIMIT).await;
            } => {}
        }
        marking.close();
        drop(timeout(END_LIMIT, marking.wait()).await);
    };
    tokio::select! {
        () = finished => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
