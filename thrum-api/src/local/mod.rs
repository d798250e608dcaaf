//! The local surface: what `thrum` and other programs on this machine call over the Unix socket.
//!
//! `POST /rpc` takes one JSON-RPC request; `GET /events?after=N` streams events as server-sent
//! events; `GET /metrics` is for Prometheus.

mod check;
mod events;
mod messages;
mod peers;
mod problem;
mod service;

pub use check::*;
pub use events::*;
pub use messages::*;
pub use peers::*;
pub use service::*;

use crate::method::{Empty, surface};

surface! {
    /// That the daemon answers, who it is, and the shape that users of the earlier program know.
    Health = "health": Empty => HealthResult;
    /// Everything that `thrum status` shows.
    Status = "status": Empty => StatusResult;
    /// Stops the daemon: what was queued is written first.
    Shutdown = "daemon.shutdown": Empty => Empty;
    /// Writes events. All or none; on disk when answered.
    EventAppend = "event.append": AppendParams => AppendResult;
    /// Events of this log after a place.
    EventList = "event.list": EventListParams => EventListResult;
    /// Says something to agents, wherever they run.
    MessageSend = "message.send": MessageSendParams => MessageSendResult;
    /// Messages for an agent, in the order in which they arrived here.
    MessageInbox = "message.inbox": InboxParams => InboxResult;
    /// Waits for the next message that an agent has not read. Answers with none when the time is
    /// over. The caller marks it read once it has it.
    MessageWait = "message.wait": WaitParams => WaitResult;
    /// Marks messages of an agent read, by the ids of their events.
    MessageMarkRead = "message.mark_read": MarkReadParams => Empty;
    /// Agents that were ever seen, here or on a peer.
    AgentList = "agent.list": AgentListParams => AgentListResult;
    /// Opens a pairing session and answers with its code.
    PeerAdd = "peer.add": PeerAddParams => PeerAddResult;
    /// Waits for the next thing that happens in a pairing session. Hanging up ends the session.
    PeerWait = "peer.wait": PeerWaitParams => PairingNews;
    /// Ends a pairing session.
    PeerCancel = "peer.cancel": PeerCancelParams => Empty;
    /// Finds out who a host is, before its code is asked for.
    PeerResolve = "peer.resolve": PeerResolveParams => PeerResolveResult;
    /// Pairs with the host that shows this code.
    PeerJoin = "peer.join": PeerJoinParams => PeerJoinResult;
    /// The paired machines, and who is pairing.
    PeerList = "peer.list": Empty => PeerListResult;
    /// The peer that a person means by a name or daemon id.
    PeerFind = "peer.find": PeerFindParams => PeerEntry;
    /// Forgets a peer and tells it.
    PeerRemove = "peer.remove": PeerRemoveParams => PeerRemoveResult;
    /// Pulls from peers now and tells them our news, without waiting for a back-off.
    PeerSync = "peer.sync": PeerSyncParams => Empty;
    /// Looks at every link of the way to a peer. Takes up to 20 s when it doesn't answer.
    PeerCheck = "peer.check": PeerCheckParams => PeerCheckResult;
    /// How packets get to a peer at the moment. Takes up to 6 s when it doesn't answer.
    PeerPath = "peer.path": PeerPathParams => PeerPathResult;
    /// Whether the tailnet's policy may stand in for the code; changes what is given.
    PeerPolicy = "peer.policy": PeerPolicyParams => PeerPolicyResult;
}
