//! `thrum doctor`: every link from the installed programs to the last peer, looked at in the order
//! in which each needs the one before. Changes nothing, and works without the service.

mod agents;
mod clock;
mod command;
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

pub use context::CheckContext;
pub use finding::{Finding, Section, first_broken, state_word};

/// Looks at everything.
pub async fn examine(context: &CheckContext) -> Vec<Finding> {
    let mut all = install::look(context).await;
    all.extend(service::look(context).await);
    all.extend(socket::look(context));
    all.extend(log::look(context));
    all.extend(tailnet::look(context).await);
    all.extend(peers::look(context).await);
    all.extend(clock::look(context).await);
    all.extend(agents::look(context));
    problems::add(context, &mut all);
    all
}
