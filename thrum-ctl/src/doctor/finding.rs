//! What a check found.

use serde::Serialize;
use thrum_api::local::{Check, CheckState, Problem};

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

    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.check.next = Some(command.into());
        self
    }

    pub fn fact(mut self, fact: impl Into<String>) -> Self {
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
pub struct Findings {
    section: Section,
    /// So far.
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

    /// A problem that the service reports, in its words.
    pub fn problem(&self, problem: &Problem) -> Finding {
        let mut finding = self.fail(&problem.id, problem.message.as_str());
        finding.check.next.clone_from(&problem.next);
        finding
    }

    /// Not looked at, for a reason that is no failure of another check.
    pub fn skipped(&self, id: &str, message: impl Into<String>) -> Finding {
        Finding::new(self.section, id, CheckState::Skipped, message)
    }

    /// Not looked at because of an earlier check.
    pub fn because(&self, id: &str, because: &str, message: impl Into<String>) -> Finding {
        let mut found = self.skipped(id, message);
        found.check.because = Some(because.to_owned());
        found
    }

    pub fn add(&mut self, found: Finding) {
        self.all.push(found);
    }
}

/// The first link that is broken, if one is.
pub fn first_broken(all: &[Finding]) -> Option<&Finding> {
    all.iter().find(|found| found.check.state == CheckState::Fail)
}

/// The state's word.
pub const fn state_word(state: CheckState) -> &'static str {
    match state {
        CheckState::Ok => "ok",
        CheckState::Warn => "warn",
        CheckState::Fail => "fail",
        CheckState::Skipped => "skip",
    }
}
