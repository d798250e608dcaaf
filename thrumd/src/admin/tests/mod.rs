//! The local surface over a real socket, with everything behind it.

mod client;
mod events;
mod nodes;
mod pairing;
mod policy;
mod socket;
mod stopping;
mod surface;
mod tailnet;
