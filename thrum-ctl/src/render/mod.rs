//! Output for people, as pure functions that tests can check.

pub mod doctor;
pub mod peers;
pub mod status;
pub mod table;
