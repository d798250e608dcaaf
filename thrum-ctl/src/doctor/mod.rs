//! `thrum doctor`: every link from the installed programs to the last peer, looked at in the order
//! in which each needs the one before. Changes nothing, and works without the service.

mod agents;
mod clock;
mod command;
mod context;
mod daemon;
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

use serde::Serialize;
use thrum_api::local::{Check, CheckState};

pub use context::CheckContext;

/// Where the ids are explained.
const MANUAL: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/operations.md");

/// A part of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// The programs.
    Install,
    /// The process, and what starts it.
    Service,
    /// The way to it.
    Socket,
    /// Its state directory and log.
    Log,
    /// The way to other machines.
    Tailnet,
    /// They.
    Peers,
    /// The time.
    Clock,
    /// Those who talk.
    Agents,
}

impl Section {
    /// All of them, in the order of the chain.
    pub const ALL: [Self; 8] = [
        Self::Install,
        Self::Service,
        Self::Socket,
        Self::Log,
        Self::Tailnet,
        Self::Peers,
        Self::Clock,
        Self::Agents,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Service => "service",
            Self::Socket => "socket",
            Self::Log => "log",
            Self::Tailnet => "tailnet",
            Self::Peers => "peers",
            Self::Clock => "clock",
            Self::Agents => "agents",
        }
    }
}

/// What one look found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The part of the chain.
    pub section: Section,
    /// The peer that was looked at, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The check.
    #[serde(flatten)]
    pub check: Check,
    /// Where its id is explained.
    pub docs: String,
    /// What may be told to strangers: our own words and numbers, never a name, address or path.
    #[serde(skip)]
    pub fact: Option<String>,
}

impl Finding {
    fn new(section: Section, id: &str, state: CheckState, message: impl Into<String>) -> Self {
        let check =
            Check { id: id.to_owned(), state, message: message.into(), next: None, because: None };
        Self::of(section, check)
    }

    /// With the link to where it is explained.
    pub fn of(section: Section, check: Check) -> Self {
        let docs = format!("{MANUAL}#doctor-{}", section.word());
        Self { section, peer: None, check, docs, fact: None }
    }

    fn next(mut self, command: impl Into<String>) -> Self {
        self.check.next = Some(command.into());
        self
    }

    fn fact(mut self, fact: impl Into<String>) -> Self {
        self.fact = Some(fact.into());
        self
    }

    /// Whether a person should look at it.
    pub const fn is_bad(&self) -> bool {
        matches!(self.check.state, CheckState::Warn | CheckState::Fail)
    }
}

/// The findings of one section in the making.
#[derive(Debug)]
struct Findings {
    section: Section,
    all: Vec<Finding>,
}

impl Findings {
    const fn of(section: Section) -> Self {
        Self { section, all: Vec::new() }
    }

    fn ok(&self, id: &str, message: impl Into<String>) -> Finding {
        Finding::new(self.section, id, CheckState::Ok, message)
    }

    fn warn(&self, id: &str, message: impl Into<String>) -> Finding {
        Finding::new(self.section, id, CheckState::Warn, message)
    }

    fn fail(&self, id: &str, message: impl Into<String>) -> Finding {
        Finding::new(self.section, id, CheckState::Fail, message)
    }

    /// Not looked at, for a reason that is no failure of another check.
    fn skipped(&self, id: &str, message: impl Into<String>) -> Finding {
        Finding::new(self.section, id, CheckState::Skipped, message)
    }

    /// Not looked at because of an earlier check.
    fn because(&self, id: &str, because: &str, message: impl Into<String>) -> Finding {
        let mut found = self.skipped(id, message);
        found.check.because = Some(because.to_owned());
        found
    }

    fn add(&mut self, found: Finding) {
        self.all.push(found);
    }
}

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

/// The first link that is broken, if one is.
pub fn first_broken(all: &[Finding]) -> Option<&Finding> {
    all.iter().find(|found| found.check.state == CheckState::Fail)
}
