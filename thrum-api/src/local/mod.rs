//! The local interface: the methods for `thrum` and other programs on this machine, over a Unix socket.
//!
//! `POST /rpc` takes one JSON-RPC request; `GET /events?after=N` streams events as server-sent
//! events; `GET /changes` streams what has changed; `GET /backup` returns a backup as one file; `GET /metrics` is for
//! Prometheus.

mod agents;
mod backup;
mod check;
mod conversation;
mod delivery;
mod events;
mod groups;
mod messages;
mod overview;
mod peers;
mod problem;
mod quarantine;
mod service;
mod sockets;
mod turns;

pub use agents::*;
pub use backup::*;
pub use check::*;
pub use conversation::*;
pub use delivery::*;
pub use events::*;
pub use groups::*;
pub use messages::*;
pub use overview::*;
pub use peers::*;
pub use problem::{token_refusal, unsigned};
pub use quarantine::*;
pub use service::*;
pub use sockets::*;
pub use turns::*;

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
    /// Finds a message by its id, or the end of it.
    MessageFind = "message.find": MessageFindParams => MessageFindResult;
    /// Returns a message, and how far it got if it was sent here.
    MessageShow = "message.show": MessageShowParams => MessageShowResult;
    /// Returns the messages of a conversation, in arrival order.
    MessageThread = "message.thread": MessageThreadParams => MessageThreadResult;
    /// Tells how far a message got that was sent on this machine.
    MessageStatus = "message.status": MessageStatusParams => MessageStatusResult;
    /// Returns the messages that an agent sent on this machine, the newest first, and how far each got.
    MessageSent = "message.sent": MessageSentParams => MessageSentResult;
    /// Deletes a message that an agent of this machine has sent, on every machine. The event stays in the log.
    MessageDelete = "message.delete": MessageDeleteParams => Empty;
    /// Looks for words in the messages that are here.
    MessageSearch = "message.search": MessageSearchParams => MessageSearchResult;
    /// Returns the messages of a project or of all, the newest first, and how far each got.
    MessageList = "message.list": MessageListParams => MessageListResult;
    /// Tells how far messages got, and whether they were read: for those that were listed before.
    MessageDeliveries = "message.deliveries": MessageDeliveriesParams => MessageDeliveriesResult;
    /// Returns the conversations of a project or of all, that with the newest message first.
    ConversationList = "conversation.list": ConversationListParams => ConversationListResult;
    /// Returns the agents seen on this machine or a peer, and what they do.
    AgentList = "agent.list": AgentListParams => AgentListResult;
    /// Makes an agent of this machine known, and says what it is for.
    AgentRegister = "agent.register": AgentRegisterParams => AgentRegisterResult;
    /// Removes an agent of this machine from the lists, until it does something again. Its messages stay.
    AgentRemove = "agent.remove": AgentRemoveParams => Empty;
    /// Tells that a tool has begun to work as an agent of this machine.
    SessionStart = "session.start": SessionStartParams => SessionResult;
    /// Tells what a session does.
    SessionUpdate = "session.update": SessionUpdateParams => SessionResult;
    /// Ends a session.
    SessionEnd = "session.end": SessionEndParams => Empty;
    /// Tells at which point of its turn a session is, and answers the messages that it was not shown yet. They are for this
    /// connection until they are marked read, by it and for the session, or it ends.
    SessionHook = "session.hook": SessionHookParams => SessionMessagesResult;
    /// Returns the messages that a session was not shown yet, or waits for one. They are for this connection as those of
    /// `session.hook`.
    SessionMessages = "session.messages": SessionMessagesParams => SessionMessagesResult;
    /// Waits until an idle session is to be woken for messages that came, or for the time-out. The daemon counts the session as
    /// woken for these.
    SessionWake = "session.wake": SessionWakeParams => SessionWakeResult;
    /// Returns, and optionally changes, where idle sessions of this machine are not woken.
    WakeSwitch = "wake.switch": WakeSwitchParams => WakeSwitchResult;
    /// Adds members to a group and removes others.
    GroupChange = "group.change": GroupChangeParams => Group;
    /// Returns the groups of a project.
    GroupList = "group.list": GroupListParams => GroupListResult;
    /// Serves a narrow socket, for containers and sandboxes.
    SocketAdd = "socket.add": SocketAddParams => NarrowSocket;
    /// Returns the narrow sockets.
    SocketList = "socket.list": Empty => SocketListResult;
    /// Ends a narrow socket.
    SocketRemove = "socket.remove": SocketRemoveParams => Empty;
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
