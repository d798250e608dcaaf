//! The local API: everything that programs on this machine can ask, over a Unix socket.

mod addresses;
mod agents;
mod backup;
mod changes;
mod connections;
mod connectivity;
mod context;
mod conversation;
mod delivery;
mod dispatch;
mod errors;
mod events;
mod groups;
mod http;
mod inherited;
mod machines;
mod messages;
mod metrics;
mod narrow;
mod narrow_answers;
mod narrow_folder;
mod narrow_sockets;
mod network;
mod network_changes;
mod overview;
mod peers;
mod policy;
mod problems;
mod quarantine;
mod query;
mod rebind;
mod scope;
mod search;
mod sessions;
mod socket;
mod sockets;
mod status;
mod status_line;
mod turns;
mod wake_switch;

#[cfg(test)]
mod tests;

pub use context::AdminContext;
pub use http::serve;
pub use inherited::InheritedSocket;
pub use machines::machines_now;
pub use metrics::serve as serve_metrics;
pub use narrow::serve as serve_narrow;
pub use narrow_sockets::NarrowSockets;
pub use network::{Network, NetworkParts, PeerNetwork};
pub use socket::{LocalSocket, SocketError};
pub use status_line::status_line;
pub use wake_switch::WakeSwitch;
