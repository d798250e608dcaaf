//! Limits and defaults that both sides rely on. The unit is last in the name.

/// Maximum bytes of an event. A larger one is refused.
pub const EVENT_MAX_BYTES: usize = 256 * 1024;
/// How deep arrays and objects of an event may be nested; the event itself is the first level.
pub const EVENT_MAX_DEPTH: usize = 64;
/// Maximum events in an answer to `sync.pull`.
pub const PULL_MAX_EVENTS: usize = 1000;
/// Maximum bytes of events in an answer to `sync.pull`.
pub const PULL_MAX_BYTES: usize = 512 * 1024;
/// Maximum events in an answer to `sync.pull`, with those that only prove others.
pub const PULL_ANSWER_MAX_EVENTS: usize = 2 * PULL_MAX_EVENTS;
/// Maximum bytes of the events of a run: as many as are in a page, and as many again that only prove these.
pub const RUN_MAX_BYTES: usize = 2 * PULL_MAX_BYTES;
/// Maximum bytes of a whole answer to `sync.pull`. A client reads no further.
pub const PULL_ANSWER_MAX_BYTES: usize = 2 * PULL_MAX_BYTES + 1024 * 1024;
/// Maximum events in a `sync.notify`.
pub const NOTIFY_MAX_EVENTS: usize = 128;
/// Maximum bytes of events in a `sync.notify`: one event of the maximum size fits.
pub const NOTIFY_MAX_BYTES: usize = EVENT_MAX_BYTES;
/// How many events of an origin need no signed point between them in what a daemon keeps and passes on. When one of them is
/// damaged, those before it can't be proved without it.
pub const UNSIGNED_MAX_EVENTS: usize = 128;
/// Maximum heads in a request or an answer; a sender leaves further ones out, which costs traffic but loses no event.
pub const HEADS_MAX: usize = 1000;
/// Maximum body of a peer's request with a valid `Authorization` header.
pub const PEER_BODY_MAX_BYTES: usize = 1024 * 1024;
/// Maximum body of a request without a token in its header.
pub const ANONYMOUS_BODY_MAX_BYTES: usize = 64 * 1024;
/// Maximum body of a request on the local socket.
pub const LOCAL_BODY_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Maximum bytes of an answer on the local socket. A client reads no further.
pub const LOCAL_ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Maximum bytes of an event with its position in a stream on the local socket. A client reads no further.
pub const LOCAL_STREAM_EVENT_MAX_BYTES: usize = 2 * EVENT_MAX_BYTES;
/// Maximum events in one `event.append`.
pub const APPEND_MAX_EVENTS: usize = 1000;
/// Number of callers with a wrong code that lock a pairing session.
pub const PAIRING_ATTEMPTS: u32 = 3;
/// How many further codes of callers whose first one was wrong a pairing session reads, all together.
pub const PAIRING_RETRIES: u32 = 2;
/// Maximum duration of a pairing session, in seconds.
pub const PAIRING_TIMEOUT_SECONDS: u64 = 300;
/// Number of digits of a pairing code.
pub const PAIRING_CODE_DIGITS: usize = 4;
/// The default port on which peers listen.
pub const DEFAULT_PORT: u16 = 9100;
/// Number of random bytes of a token, which is sent as twice as many hex characters.
pub const TOKEN_BYTES: usize = 32;
/// Maximum characters of a name of an agent, a project or a daemon.
pub const NAME_MAX_CHARS: usize = 128;
/// Maximum characters of an event type.
pub const EVENT_TYPE_MAX_CHARS: usize = 64;
/// Maximum recipients of a message: addresses, of which a group is one.
pub const RECIPIENTS_MAX: usize = 64;

/// Answers of a conversation that are counted in a list. So many mean that many or more.
pub const REPLIES_MAX: u64 = 1000;
/// Maximum bytes of the text of a message.
pub const MESSAGE_TEXT_MAX_BYTES: usize = 128 * 1024;
/// Maximum characters of the text that says what an agent is for.
pub const ABOUT_MAX_CHARS: usize = 500;
/// Maximum members that one call adds to a group and removes from it.
pub const GROUP_CHANGE_MAX_MEMBERS: usize = 5000;
/// Maximum duration of a stop of thrumd, in seconds. After that, the service manager kills it.
pub const STOP_MAX_SECONDS: u64 = 10;
/// The largest part of a disk that events of peers leave free.
const DISK_RESERVE_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Bytes of a disk of this size that events of peers leave free: a twentieth, at most 1 GiB. Events that are
/// written here may use them.
pub const fn disk_reserve_bytes(total: u64) -> u64 {
    let share = total / 20;
    if share < DISK_RESERVE_MAX_BYTES { share } else { DISK_RESERVE_MAX_BYTES }
}

/// Bytes left on a disk of this size below which a warning comes, before the reserve is reached.
pub const fn disk_warning_bytes(total: u64) -> u64 {
    2 * disk_reserve_bytes(total)
}

const _: () = assert!(PULL_MAX_BYTES >= EVENT_MAX_BYTES);
const _: () = assert!(NOTIFY_MAX_BYTES >= EVENT_MAX_BYTES);
const _: () = assert!(PULL_ANSWER_MAX_BYTES > RUN_MAX_BYTES + PULL_MAX_EVENTS * 300 + 1024);
const _: () = assert!(PEER_BODY_MAX_BYTES > NOTIFY_MAX_BYTES + HEADS_MAX * 256);
