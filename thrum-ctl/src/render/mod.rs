//! Screens: status as a person reads it. Pure, so that tests can look at them.

pub mod doctor;
pub mod peers;
pub mod status;
pub mod table;
