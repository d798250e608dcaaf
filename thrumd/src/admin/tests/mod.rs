//! The local API over a real socket, with everything behind it.

mod api;
mod client;
mod events;
mod nodes;
mod pairing;
mod policy;
mod socket;
mod stopping;
mod tailnet;
