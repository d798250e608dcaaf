//! The figures: what Thrum costs, each measured against the bare thing in the same run.
//!
//! A ratio of two medians that were measured in turns says the same on a slow machine and on a fast
//! one; absolute times would not.

mod agents;
mod appends;
mod bare;
mod bootstrap;
mod clients;
mod connection;
mod crowd;
mod figure;
mod hub;
mod idle;
mod latency;
mod lists;
mod logs;
mod mcp;
mod metrics;
mod origins;
mod overview;
mod presence;
mod proofs;
mod receipts;
mod sample;
mod search;
mod size;
mod slots;
mod start;
#[cfg(target_os = "linux")]
mod tailnet;
#[cfg(target_os = "linux")]
mod ui;
mod views;
mod waiters;
#[cfg(target_os = "linux")]
mod wiretap;

pub use figure::{Figure, Report};
pub use size::Size;

/// A group of figures that are measured together.
pub struct Group {
    /// What to call it on the command line.
    pub name: &'static str,
    /// Measures them.
    pub measure: fn(Size) -> Vec<Figure>,
    /// What not every machine can have. A group that needs something is only measured when it is asked for.
    pub needs: Needs,
}

/// What a group needs besides the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// No more.
    Nothing,
    /// A tailnet, and so root and namespaces of its own.
    Tailnet,
    /// A browser, in namespaces of its own as well.
    Browser,
}

const fn group(name: &'static str, measure: fn(Size) -> Vec<Figure>) -> Group {
    Group { name, measure, needs: Needs::Nothing }
}

/// All of them, in the order in which they run.
pub const GROUPS: &[Group] = &[
    group("bootstrap", bootstrap::measure),
    group("latency", latency::measure),
    group("appends", appends::measure),
    group("start", start::measure),
    group("events", lists::measure),
    group("clients", clients::measure),
    group("mcp", mcp::measure),
    group("logs", logs::measure),
    group("slots", slots::measure),
    group("waiters", waiters::measure),
    group("views", views::measure),
    group("search", search::measure),
    group("overview", overview::measure),
    group("agents", agents::measure),
    group("receipts", receipts::measure),
    group("presence", presence::measure),
    group("origins", origins::measure),
    group("proofs", proofs::measure),
    group("idle", idle::measure),
    group("hub", hub::measure),
    group("metrics", metrics::measure),
    #[cfg(target_os = "linux")]
    Group { name: "tailnet", measure: tailnet::measure, needs: Needs::Tailnet },
    #[cfg(target_os = "linux")]
    Group { name: "ui", measure: ui::measure, needs: Needs::Browser },
];
