//! The local interface: the methods for `thrum` and other programs on this machine, over a Unix socket.
//!
//! `POST /rpc` takes one JSON-RPC request; `GET /events?after=N` streams events as server-sent
//! events; `GET /backup` returns a backup as one file; `GET /metrics` is for Prometheus.

mod backup;
mod check;
mod events;
mod messages;
mod peers;
mod problem;
mod quarantine;
mod service;

pub use backup::*;
pub use check::*;
pub use events::*;
pub use messages::*;
pub use peers::*;
pub use problem::{token_refusal, unsigned};
pub use quarantine::*;
pub use service::*;

use crate::method::{Empty, surface};

surface! {
    /// Tells that the daemon answers, and identifies it.
    Health = "health": Empty => HealthResult;
    /// Returns everything that `thrum status` shows.
    Status = "status": Empty => StatusResult;
    /// Stops the daemon; queued events are written first.
    Shutdown = "daemon.shutdown": Empty => Empty;
    /// Writes events, all or none. They are on disk when the answer is sent.
    EventAppend = "event.append": AppendParams => AppendResult;
    /// Returns the events of this log after a position.
    EventList = "event.list": EventListParams => EventListResult;
    /// Returns the events that could not be stored or interpreted.
    QuarantineList = "quarantine.list": Empty => QuarantineListResult;
    /// Drops events from the quarantine that a person has seen.
    QuarantineClear = "quarantine.clear": QuarantineClearParams => QuarantineClearResult;
    /// Sends a message to agents on any machine.
    MessageSend = "message.send": MessageSendParams => MessageSendResult;
    /// Returns the messages for an agent, in arrival order.
    MessageInbox = "message.inbox": InboxParams => InboxResult;
    /// Waits for the oldest unread message of an agent, or for the time-out. The caller then marks the
    /// message as read.
    MessageWait = "message.wait": WaitParams => WaitResult;
    /// Marks messages of an agent as read, by the ids of their events.
    MessageMarkRead = "message.mark_read": MarkReadParams => Empty;
    /// Returns the agents seen on this machine or a peer.
    AgentList = "agent.list": AgentListParams => AgentListResult;
    /// Opens a pairing session and returns its code.
    PeerAdd = "peer.add": PeerAddParams => PeerAddResult;
    /// Waits for the next news of a pairing session. Closing the connection ends the session.
    PeerWait = "peer.wait": PeerWaitParams => PairingUpdate;
    /// Ends a pairing session.
    PeerCancel = "peer.cancel": PeerCancelParams => Empty;
    /// Identifies a host before its code is asked for.
    PeerResolve = "peer.resolve": PeerResolveParams => PeerResolveResult;
    /// Pairs with the host that shows the code.
    PeerJoin = "peer.join": PeerJoinParams => PeerJoinResult;
    /// Returns the paired machines and the open pairing session.
    PeerList = "peer.list": Empty => PeerListResult;
    /// Finds a peer by its name or daemon id.
    PeerFind = "peer.find": PeerFindParams => PeerEntry;
    /// Removes a peer and tells it.
    PeerRemove = "peer.remove": PeerRemoveParams => PeerRemoveResult;
    /// Pulls from peers and notifies them now, without waiting for the back-off.
    PeerSync = "peer.sync": PeerSyncParams => Empty;
    /// Checks the connection to a peer step by step. Takes up to 20 s if the peer doesn't answer.
    PeerCheck = "peer.check": PeerCheckParams => PeerCheckResult;
    /// Returns the current path of packets to a peer. Takes up to 6 s if the peer doesn't answer.
    PeerPath = "peer.path": PeerPathParams => PeerPathResult;
    /// Returns, and optionally changes, whether the tailnet's policy replaces the pairing code.
    PeerPolicy = "peer.policy": PeerPolicyParams => PeerPolicyResult;
}
