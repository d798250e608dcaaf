//! `GET /backup`: a backup, as the bytes of one file.
//!
//! The caller writes the file: it is another user than the service.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use thrum_api::local::BACKUP_EVENTS_HEADER;
use thrum_api::{ErrorCode, RpcError};
use tokio::io::AsyncReadExt as _;

use super::connections::Caller;
use super::{AdminContext, errors};
use crate::backup::{self, Backup, BackupError, Sources};
use crate::message_id;
use crate::report::Chain;

/// Bytes that are read from the file at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// Makes one for this caller.
///
/// # Errors
/// When the caller may not have it, or it can't be made.
pub(super) async fn make(context: &AdminContext, caller: Caller) -> Result<Backup, RpcError> {
    // Who may use the socket may send as anybody, but may not have the key and the tokens.
    if !caller.owns_state() {
        let message = "a backup holds this daemon's secret key and the peers' tokens: only root and thrumd's own user may \
                       make one";
        return Err(RpcError::new(ErrorCode::NOT_PERMITTED, message).hint("sudo thrum backup FILE"));
    }
    let Ok(_alone) = context.backing_up.try_lock() else {
        let error = RpcError::new(ErrorCode::REFUSED, "another backup is being made");
        return Err(error.hint("try again when it is done"));
    };
    let sources = Sources {
        state_dir: &context.config.state_dir,
        log: &context.log,
        agents: &context.agents,
        identity: &context.identity,
        registry: &context.registry,
    };
    backup::create(sources).await.map_err(|error| {
        tracing::warn!(
            journal.message_id = message_id::BACKUP_FAILED,
            "no backup was made: {}",
            Chain(&error)
        );
        let next = error.next();
        let answer = match error {
            BackupError::Log(error) => errors::log(error),
            BackupError::Agents(error) => errors::agents(error),
            error => RpcError::new(ErrorCode::STORAGE, Chain(&error).to_string()),
        };
        match next {
            Some(next) => answer.hint(next),
            None => answer,
        }
    })
}

/// Sends it block by block.
pub(super) fn response(backup: Backup) -> Response {
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/vnd.sqlite3".to_owned()),
        (header::CONTENT_LENGTH.as_str(), backup.bytes.to_string()),
        (BACKUP_EVENTS_HEADER, backup.events.to_string()),
    ];
    let file = tokio::fs::File::from_std(backup.file);
    let blocks = stream::try_unfold(file, |mut file| async move {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        let count = file.read_buf(&mut block).await?;
        Ok::<_, std::io::Error>((count > 0).then(|| (Bytes::from(block), file)))
    });
    (headers, Body::from_stream(blocks)).into_response()
}
