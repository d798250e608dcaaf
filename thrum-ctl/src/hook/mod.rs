//! `thrum hook`: what the hooks of agents' tools run at the points of a session.

pub mod notes;
