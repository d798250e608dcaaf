//! Errors of messages and views.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thrum_api::ids::ParseIdError;
use thrum_api::limits::{
    GROUP_CHANGE_MAX_MEMBERS, MESSAGE_TEXT_MAX_BYTES, NAME_MAX_CHARS, RECIPIENTS_MAX,
};
use thrum_api::names::NameError;
use thrum_api::{ErrorCode, EventId, RpcError, Timestamp};

use super::sessions::error::SessionError;
use crate::log::{LogError, LogErrorKind};
use crate::report::Chain;
use crate::storage::{SqliteError, StorageFault};

/// What went wrong with a message or in a view.
#[derive(Debug, thiserror::Error)]
pub enum AgentsError {
    /// A name of an agent or a project is invalid.
    #[error(transparent)]
    Name(NameError),
    /// The machine of an address is no daemon id.
    #[error("the machine of a recipient: {0}")]
    Machine(ParseIdError),
    /// Recipients that nobody has seen, although similar ones are known.
    #[error("no agent of this project is called {}", names.join(" or "))]
    UnknownRecipients {
        names: Vec<String>,
        /// The names that may be meant.
        similar: Vec<String>,
    },
    /// A message that is named is not here.
    #[error("there is no message {event_id} here")]
    NoMessage { event_id: EventId },
    /// An answer and the message that it answers are of different projects.
    #[error("the message {event_id} is of another project than the answer to it")]
    OtherProject { event_id: EventId },
    /// None of the newest messages has an id with this end.
    #[error("no message has the id {0}, or one that ends with it")]
    NoMessageLike(String),
    /// A message that is named was deleted by its sender.
    #[error("the message {event_id} was deleted by its sender")]
    DeletedMessage { event_id: EventId },
    /// Only who has sent a message, and where it was sent, can delete it.
    #[error("the message {event_id} was sent by {from}{}", if *is_here { "" } else { " on another machine" })]
    NotSender {
        event_id: EventId,
        from: String,
        /// It was sent on this machine.
        is_here: bool,
    },
    /// No agent of this machine has that name.
    #[error("no agent of this machine is called {name} in the project {project}")]
    NoAgent { name: String, project: String },
    /// The text that says what an agent is for is invalid.
    #[error("what an agent is for {0}")]
    About(String),
    /// No group has that name.
    #[error("there is no group @{name}")]
    NoGroup { name: String },
    /// A group as a member.
    #[error("@{name} can't be a member of a group: members are agents")]
    GroupInGroup { name: String },
    /// A change with too many members.
    #[error("{count} members at once; at most {GROUP_CHANGE_MAX_MEMBERS} are allowed")]
    TooManyMembers { count: usize },
    /// A member that is to be added and removed.
    #[error("{member} is to be added to the group and removed from it")]
    AddedAndRemoved { member: String },
    /// A change of a group that counts for less than one with a later time.
    #[error(
        "{member} {} the group @{group}: {machine} changed that, and the time of its change is {at}",
        if *is_member { "stays in" } else { "does not come into" }
    )]
    Overruled {
        group: String,
        member: String,
        is_member: bool,
        /// The machine that wrote the change that counts.
        machine: String,
        /// When, by its clock.
        at: Timestamp,
    },
    /// The end of an id is that of several messages, or a text is no end of one.
    #[error("{0}")]
    MessageId(String),
    /// A message without recipients.
    #[error("the message has no recipient")]
    NoRecipient,
    /// A message for everyone that names recipients too.
    #[error("the message is for everyone and names recipients too")]
    AllAndSome,
    /// A message with too many recipients.
    #[error("the message names {count} recipients; at most {RECIPIENTS_MAX} are allowed")]
    TooManyRecipients { count: usize },
    /// A message without text.
    #[error("the message has no text")]
    NoText,
    /// A message with too long a text.
    #[error(
        "the text of the message has {bytes} bytes; at most {MESSAGE_TEXT_MAX_BYTES} are allowed"
    )]
    TextTooLarge { bytes: usize },
    /// A message that doesn't fit into an event.
    #[error("the message has {bytes} bytes as an event; at most {max} are allowed")]
    TooLarge {
        bytes: usize,
        /// How large it may be.
        max: usize,
    },
    /// Messages of several daemons in an inbox have the id by which one was named.
    #[error("the inbox of {agent} has messages of {daemons} daemons with the id {event_id}")]
    AmbiguousId { agent: String, event_id: EventId, daemons: usize },
    /// No message of this machine has this id.
    #[error("no message that was sent on this machine has the id {event_id}")]
    NotSentHere { event_id: EventId },
    /// A page before one position and after another.
    #[error("a page is asked for before one position and after another")]
    BeforeAndAfter,
    /// More messages than one call may name.
    #[error("{count} messages at once; at most {max} are allowed")]
    TooManyMessages { count: usize, max: u32 },
    /// The id of a session is too long.
    #[error("the id of the session has more than {NAME_MAX_CHARS} characters")]
    Session,
    /// A request about a session.
    #[error(transparent)]
    OfSession(#[from] SessionError),
    /// A body can't be serialised.
    #[error("could not make an event of the message")]
    Body(#[source] serde_json::Error),
    /// The log failed to store or read an event.
    #[error("could not {doing}")]
    Log {
        doing: &'static str,
        #[source]
        source: Box<LogError>,
    },
    /// `views.db` can't be created, or its old file not be removed.
    #[error("could not open views.db: {}", StorageFault::of_io(source).text(path))]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// `views.db` can't be opened.
    #[error("could not open views.db: {}", StorageFault::of_sqlite(&source.0, path).text(path))]
    Open {
        path: PathBuf,
        #[source]
        source: SqliteError,
    },
    /// A damaged `views.db` can't be moved aside.
    #[error("could not move the damaged {} aside", path.display())]
    MoveAside {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The thread of the views can't be started.
    #[error("could not start the thread of the views")]
    Thread(#[source] std::io::Error),
    /// A query or change in `views.db` failed.
    #[error("could not {doing}: {}", StorageFault::of_code(&source.0).text(Path::new("views.db")))]
    Views {
        doing: &'static str,
        #[source]
        source: SqliteError,
    },
    /// The views can't follow the log, so an answer would be incomplete.
    #[error("the views are behind the log")]
    Behind(#[source] Arc<AgentsError>),
    /// The daemon is stopping.
    #[error("the views are stopping")]
    Stopping,
}

impl AgentsError {
    /// Whether the file itself is damaged: then it is replaced and rebuilt from the log.
    pub(super) fn is_damage(&self) -> bool {
        let (Self::Open { source, .. } | Self::Views { source, .. }) = self else { return false };
        StorageFault::of_code(&source.0) == StorageFault::Damaged
    }

    /// What a person can do about it, if it is a fault of the storage.
    pub fn next(&self) -> Option<String> {
        let (fault, path) = match self {
            Self::Log { source, .. } => return source.next(),
            Self::Behind(cause) => return cause.next(),
            Self::File { path, source } | Self::MoveAside { path, source } => {
                (StorageFault::of_io(source), path.as_path())
            }
            Self::Open { path, source } => {
                (StorageFault::of_sqlite(&source.0, path), path.as_path())
            }
            Self::Views { source, .. } => (StorageFault::of_code(&source.0), Path::new("views.db")),
            _ => return None,
        };
        Some(match fault {
            StorageFault::Damaged => {
                "try again: thrumd makes a new file from the log by itself".to_owned()
            }
            fault => fault.next(path),
        })
    }

    /// The answer to a caller on this machine. Causes that only the daemon's operator can use are left
    /// to its log.
    pub fn to_rpc(&self) -> RpcError {
        let error = RpcError::new(self.code(), self.message());
        match self {
            Self::NoRecipient => error.hint("name agents, or send to all of the project"),
            Self::AllAndSome => error.hint("either name recipients or send to all, not both"),
            Self::AmbiguousId { .. } => {
                error.hint("name the message by its origin_daemon, too: message.inbox tells it")
            }
            Self::UnknownRecipients { similar, .. } => error
                .with("similar", similar.clone())
                .hint(format!("did you mean {}? To send it anyway: --anyway", similar.join(", "))),
            Self::OtherProject { .. } => {
                error.hint("answer it in the project that it is of, or send a new message")
            }
            Self::NotSender { .. } => error.hint("delete your own messages, on the machine where you sent them"),
            Self::NoAgent { .. } => error.hint("agents and their machines: thrum team"),
            Self::NoGroup { .. } => {
                error.hint("all groups: thrum group list; an agent is named without the @")
            }
            Self::GroupInGroup { .. } => error.hint("name agents, without an @ before them"),
            Self::TooManyMembers { .. } => error.hint("change the group in several steps"),
            Self::BeforeAndAfter => error.hint("set `before` or `after`"),
            Self::TooManyMessages { .. } => error.hint("ask for them in several calls"),
            Self::Overruled { machine, .. } => error.hint(format!(
                "the clock of {machine} is ahead: set it right and change the group there, or try again after that time"
            )),
            Self::MessageId(_) => error.hint("give more characters of the id, or all of it"),
            Self::NoMessageLike(_) => error.hint(
                "the end of an id is looked for among the newest 1000 messages that the agent got or sent",
            ),
            Self::NoMessage { .. } => {
                error.hint("it may not have arrived yet; messages that are here: thrum inbox")
            }
            Self::NotSentHere { .. } => error.hint("see what an agent has sent: thrum sent"),
            Self::TooLarge { .. } | Self::TextTooLarge { .. } => error.hint("put the text into a file and send its path"),
            Self::OfSession(wrong) => wrong.explain(error),
            _ => match self.next() {
                Some(next) => error.hint(next),
                None => error,
            },
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Name(_)
            | Self::NoRecipient
            | Self::AllAndSome
            | Self::TooManyRecipients { .. }
            | Self::NoText
            | Self::Machine(_)
            | Self::MessageId(_)
            | Self::About(_)
            | Self::GroupInGroup { .. }
            | Self::TooManyMembers { .. }
            | Self::TooManyMessages { .. }
            | Self::BeforeAndAfter
            | Self::AddedAndRemoved { .. }
            | Self::Session
            | Self::OtherProject { .. }
            | Self::AmbiguousId { .. } => ErrorCode::INVALID_PARAMS,
            Self::OfSession(error) => error.code(),
            Self::NotSender { .. } | Self::Overruled { .. } => ErrorCode::REFUSED,
            Self::UnknownRecipients { .. }
            | Self::NoMessage { .. }
            | Self::NoMessageLike(_)
            | Self::NotSentHere { .. }
            | Self::NoAgent { .. }
            | Self::NoGroup { .. }
            | Self::DeletedMessage { .. } => ErrorCode::NOT_FOUND,
            Self::TooLarge { .. } | Self::TextTooLarge { .. } => ErrorCode::TOO_LARGE,
            Self::Stopping => ErrorCode::STOPPING,
            Self::Log { source, .. } => match source.kind() {
                LogErrorKind::Invalid => ErrorCode::INVALID_PARAMS,
                LogErrorKind::TooLarge => ErrorCode::TOO_LARGE,
                LogErrorKind::Storage => ErrorCode::STORAGE,
                LogErrorKind::FilesChanged => ErrorCode::FILES_CHANGED,
                LogErrorKind::Stopping => ErrorCode::STOPPING,
            },
            Self::Behind(cause) => cause.code(),
            Self::Body(_) => ErrorCode::INTERNAL,
            Self::File { .. }
            | Self::Open { .. }
            | Self::MoveAside { .. }
            | Self::Thread(_)
            | Self::Views { .. } => ErrorCode::STORAGE,
        }
    }

    fn message(&self) -> String {
        match self {
            // The log's text is complete: what happened, to what, what to do.
            Self::Log { source, .. } if source.kind() == LogErrorKind::Invalid => {
                Chain(source.as_ref()).to_string()
            }
            Self::Log { source, .. } => source.to_string(),
            Self::Behind(cause) => format!("{self}: {}", cause.message()),
            _ => self.to_string(),
        }
    }
}

impl From<NameError> for AgentsError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

/// Shortens `map_err`: `.map_err(views("count unread messages"))`.
pub(super) fn views(doing: &'static str) -> impl Fn(rusqlite::Error) -> AgentsError {
    move |source| AgentsError::Views { doing, source: source.into() }
}

/// The log could not be read.
pub(super) fn log_unread(source: LogError) -> AgentsError {
    match source {
        LogError::Stopping => AgentsError::Stopping,
        source => AgentsError::Log { doing: "read events of the log", source: Box::new(source) },
    }
}
