//! What each tool does.

pub mod reading;
pub mod sending;
pub mod status;
pub mod team;
