//! The Thrum service. See ARCHITECTURE.md for the rooms and the way of an event through them.

pub mod agents;
pub mod clock;
pub mod ids;
pub mod log;
pub mod report;
