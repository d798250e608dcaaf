//! The findings of the checks.

use serde::Serialize;
use thrum_api::local::{Check, CheckState, Problem};

/// The manual that explains the check ids.
const MANUAL: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/operations.md");

/// A section of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// The programs.
    Install,
    /// The process, and its service manager.
    Service,
    /// The socket of the daemon.
    Socket,
    /// The state directory and the log.
    Log,
    /// The connection to the tailnet.
    Tailnet,
    /// The paired machines.
    Peers,
    /// The clock.
    Clock,
    /// The agents.
    Agents,
}

impl Section {
    /// All sections, in the order in which they depend on each other.
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

    /// The section's name.
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

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The section.
    pub section: Section,
    /// The peer that was checked, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The check.
    #[serde(flatten)]
    pub check: Check,
    /// The link to the explanation of its id.
    pub docs: String,
    /// What is safe to publish: our own words and numbers, never a name, address or path.
    #[serde(skip)]
    pub fact: Option<String>,
}

impl Finding {
    fn new(section: Section, id: &str, state: CheckState, message: impl Into<String>) -> Self {
        let check =
            Check { id: id.to_owned(), state, message: message.into(), next: None, because: None };
        Self::of(section, check)
    }

    /// The finding of a check, with the link to its explanation.
    pub fn of(section: Section, check: Check) -> Self {
        let docs = format!("{MANUAL}#doctor-{}", section.word());
        Self { section, peer: None, check, docs, fact: None }
    }

    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.check.next = Some(command.into());
        self
    }

    pub fn fact(mut self, fact: impl Into<String>) -> Self {
        self.fact = Some(fact.into());
        self
    }

    /// Whether it is a warning or a failure.
    pub const fn is_bad(&self) -> bool {
        matches!(self.check.state, CheckState::Warn | CheckState::Fail)
    }
}

/// A builder for the findings of one section.
#[derive(Debug)]
pub struct Findings {
    section: Section,
    /// The findings so far.
    pub all: Vec<Finding>,
}

impl Findings {
    pub const fn of(section: Section) -> Self {
        Self { section, all: Vec::new() }
    }

    pub fn ok(&self, id: &str, message: impl Into<String>) -> Finding {
        Finding::new(self.section, id, CheckState::Ok, message)
    }

    pub fn warn(&self, id: &str, message: impl Into<String>) -> Finding {
        Finding::new(self.section, id, CheckState::Warn, message)
    }

    pub fn fail(&self, id: &str, message: impl Into<String>) -> Finding {
        Finding::new(self.section, id, CheckState::Fail, message)
    }

    /// A problem that thrumd reports.
    pub fn problem(&self, problem: &Problem) -> Finding {
        let mut finding = self.fail(&problem.id, problem.message.as_str());
        finding.check.next.clone_from(&problem.next);
        finding
    }

    /// A check that was skipped for a reason other than another check.
    pub fn skipped(&self, id: &str, message: impl Into<String>) -> Finding {
        Finding::new(self.section, id, CheckState::Skipped, message)
    }

    /// A check that was skipped because of an earlier check.
    pub fn because(&self, id: &str, because: &str, message: impl Into<String>) -> Finding {
        let mut found = self.skipped(id, message);
        found.check.because = Some(because.to_owned());
        found
    }

    pub fn add(&mut self, found: Finding) {
        self.all.push(found);
    }
}

/// The first failure, if there is one.
pub fn first_broken(all: &[Finding]) -> Option<&Finding> {
    all.iter().find(|found| found.check.state == CheckState::Fail)
}

/// The name of a state.
pub const fn state_word(state: CheckState) -> &'static str {
    match state {
        CheckState::Ok => "ok",
        CheckState::Warn => "warn",
        CheckState::Fail => "fail",
        CheckState::Skipped => "skip",
    }
}
