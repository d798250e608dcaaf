//! The local API over a real socket, with a whole daemon.

mod api;
mod client;
mod events;
mod nodes;
mod pairing;
mod policy;
mod socket;
mod stopping;
mod tailnet;
