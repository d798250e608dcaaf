//! Output for people, as pure functions that tests can check.

pub mod delivery;
pub mod doctor;
pub mod message;
pub mod peers;
pub mod search;
pub mod send_result;
pub mod sent;
pub mod setup;
pub mod status;
pub mod table;
pub mod team;
