//! Room for sessions: what comes in over one narrow socket may have only so many, so that a container can't use up what
//! this machine has.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::SessionError;
use super::limits::SESSIONS_OF_NARROW_MAX;

/// The room of one socket. Clones share it.
#[derive(Debug, Clone)]
pub struct SessionRoom(Arc<Semaphore>);

/// The place of a session in a room. It is free again when this is dropped.
#[derive(Debug, Clone)]
pub struct Place {
    room: SessionRoom,
    _held: Arc<OwnedSemaphorePermit>,
}

impl SessionRoom {
    /// That of a new narrow socket.
    pub fn of_narrow_socket() -> Self {
        Self(Arc::new(Semaphore::new(SESSIONS_OF_NARROW_MAX)))
    }

    /// Whether both are that of the same socket, or neither is of a narrow one.
    pub(super) fn is_same(one: Option<&Self>, other: Option<&Self>) -> bool {
        match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(&one.0, &other.0),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// A place: that which the session has, if it is one of this room.
    pub(super) fn place(&self, has: Option<&Place>) -> Result<Place, SessionError> {
        if let Some(place) = has.filter(|place| Arc::ptr_eq(&place.room.0, &self.0)) {
            return Ok(place.clone());
        }
        let held = Arc::clone(&self.0).try_acquire_owned();
        let held = held.map_err(|_| SessionError::TooManyOfSocket)?;
        Ok(Place { room: self.clone(), _held: Arc::new(held) })
    }
}
