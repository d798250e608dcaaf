//! The local API over a real socket, with a whole daemon.

mod addresses;
mod api;
mod changes;
mod client;
mod events;
mod narrow;
mod nodes;
mod pairing;
mod policy;
mod search;
mod socket;
mod stopping;
mod tailnet;
mod turns;
