//! Limits and defaults that both sides of a wire rely on. Units are last in the name.

/// An event's own bytes, at most. A larger one is refused when it is written.
pub const EVENT_MAX_BYTES: usize = 256 * 1024;
/// Events in one answer to `sync.pull`, at most.
pub const PULL_MAX_EVENTS: usize = 1000;
/// Bytes of events in one answer to `sync.pull`, at most.
pub const PULL_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of an answer to `sync.pull` with everything around its events. A reader stops here.
pub const PULL_ANSWER_MAX_BYTES: usize = PULL_MAX_BYTES + 512 * 1024;
/// Events that a `sync.notify` carries, at most.
pub const NOTIFY_MAX_EVENTS: usize = 128;
/// Bytes of events that a `sync.notify` carries, at most. One event of the largest size fits.
pub const NOTIFY_MAX_BYTES: usize = EVENT_MAX_BYTES;
/// Heads in one request, at most; those of further origins are left out, which costs traffic but
/// never an event.
pub const HEADS_MAX: usize = 1000;
/// Body of a peer's request whose `Authorization` header was right, at most.
pub const PEER_BODY_MAX_BYTES: usize = 1024 * 1024;
/// Body of a request that has no token in its header, at most.
pub const ANONYMOUS_BODY_MAX_BYTES: usize = 64 * 1024;
/// Body of a request on the local socket, at most.
pub const LOCAL_BODY_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Events in one local append, at most.
pub const APPEND_MAX_EVENTS: usize = 1000;
/// Wrong codes that end a pairing session.
pub const PAIRING_ATTEMPTS: u32 = 3;
/// How long a pairing session lasts at most, in seconds.
pub const PAIRING_TIMEOUT_SECONDS: u64 = 300;
/// Digits of a pairing code.
pub const PAIRING_CODE_DIGITS: usize = 4;
/// The port on which peers listen unless the settings say otherwise.
pub const DEFAULT_PORT: u16 = 9100;
/// Random bytes of a token; it travels as twice as many hex characters.
pub const TOKEN_BYTES: usize = 32;
/// Characters of a name of an agent, a project or a daemon, at most.
pub const NAME_MAX_CHARS: usize = 128;
/// Characters of an event type, at most.
pub const EVENT_TYPE_MAX_CHARS: usize = 64;
/// Recipients of one message, at most.
pub const RECIPIENTS_MAX: usize = 64;
/// How long a stop of thrumd may take, in seconds. The service manager kills it then.
pub const STOP_MAX_SECONDS: u64 = 10;

const _: () = assert!(PULL_MAX_BYTES >= EVENT_MAX_BYTES);
const _: () = assert!(NOTIFY_MAX_BYTES >= EVENT_MAX_BYTES);
const _: () =
    assert!(PULL_ANSWER_MAX_BYTES > PULL_MAX_BYTES + HEADS_MAX * 256 + PULL_MAX_EVENTS * 64 + 1024);
const _: () = assert!(PEER_BODY_MAX_BYTES > NOTIFY_MAX_BYTES + HEADS_MAX * 256);
