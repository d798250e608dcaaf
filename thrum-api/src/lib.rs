//! The API of `thrumd`: events, ids, JSON-RPC and all methods.
//!
//! Types and rules that both programs share, without I/O.

mod address;
mod bounded;
pub mod duration;
pub mod envelope;
pub mod error;
pub mod event;
pub mod ids;
pub mod label;
pub mod limits;
pub mod local;
pub mod method;
pub mod names;
pub mod peer;
pub mod proof;
pub mod secret;
pub mod similar;
mod text_form;
pub mod time;
pub mod visible;

pub use address::{Address, AddressError};
pub use error::{ErrorCode, RpcError};
pub use event::{Draft, Event, EventHeader, SequencedEvent};
pub use ids::{
    DaemonId, Epoch, EventId, Head, LogHash, LogPosition, Origin, OriginSequence, Sequence,
};
pub use method::{Empty, Method};
pub use secret::{AuthKey, PairingCode, Token};
pub use similar::similar_names;
pub use time::{Hlc, Timestamp};
