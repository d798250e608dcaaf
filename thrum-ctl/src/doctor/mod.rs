//! `thrum doctor`: checks every part from the installed programs to the peers, each after the ones it
//! depends on. Changes nothing, and works without the daemon.

mod agents;
mod clock;
mod context;
mod daemon;
mod finding;
mod install;
mod localapi;
mod log;
mod peers;
mod problems;
pub mod report;
mod service;
mod socket;
mod tailnet;
#[cfg(test)]
mod tests;
pub mod tool_state;
mod tools;

pub use context::CheckContext;
pub use finding::{Finding, Section, first_broken, state_word};

/// Runs all checks.
pub async fn examine(context: &CheckContext) -> Vec<Finding> {
    let peers = Box::pin(peers::check_each(context));
    examine_with(context, peers).await
}

/// Runs the checks of this machine, without those that ask each paired one.
pub async fn examine_machine(context: &CheckContext) -> Vec<Finding> {
    examine_with(context, std::future::ready(Vec::new())).await
}

/// Runs the checks of one paired machine, named by its name or daemon id. None if there is none.
pub async fn examine_peer(context: &CheckContext, named: &str) -> Option<Vec<Finding>> {
    peers::check_one(context, named).await
}

async fn examine_with(
    context: &CheckContext,
    peers: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    let mut all = install::check(context).await;
    if context.is_narrow() {
        // It tells nothing of thrumd but that it answers.
        all.extend(socket::narrow(context));
        all.extend(agents::check(context));
        all.extend(tools::check(context));
        return all;
    }
    all.extend(service::check(context).await);
    all.extend(socket::check(context));
    all.extend(log::check(context));
    all.extend(tailnet::check(context).await);
    all.extend(peers::check(context));
    all.extend(peers.await);
    all.extend(clock::check(context).await);
    all.extend(agents::check(context));
    all.extend(tools::check(context));
    problems::add(context, &mut all);
    all
}
