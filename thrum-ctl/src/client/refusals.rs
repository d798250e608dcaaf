//! A daemon that refuses what a program asks for in the background does so again, until it is another one.

use std::time::Duration;

use thrum_api::ErrorCode;
use tokio::time::timeout;

use crate::error::Error;

/// How long a daemon that refuses is left alone.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// Whether the same question will have the same answer for long.
pub fn is_lasting(error: &Error) -> bool {
    // A session may be known in a moment, and a daemon that stops is soon another one.
    matches!(error, Error::Refused(error) if ![ErrorCode::NOT_FOUND, ErrorCode::STOPPING].contains(&error.code))
}

/// Waits until a daemon that refuses may be asked again: its connection has ended, or time has passed.
pub async fn pause(ended: impl Future<Output = ()>) {
    drop(timeout(PAUSE, ended).await);
}

/// What is noted of an error, with what to do.
pub fn told(error: &Error) -> String {
    match error {
        Error::Refused(refused) if refused.code == ErrorCode::METHOD_NOT_FOUND => {
            format!("{error}: thrumd is older than thrum, restart thrumd")
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use thrum_api::RpcError;

    use super::*;

    #[tokio::test]
    async fn one_that_refuses_is_left_alone_until_its_connection_ends() {
        let refused = |code| Error::Refused(RpcError::new(code, "no"));
        for (code, lasts) in [
            (ErrorCode::METHOD_NOT_FOUND, true),
            (ErrorCode::NOT_PERMITTED, true),
            (ErrorCode::REFUSED, true),
            (ErrorCode::NOT_FOUND, false),
            (ErrorCode::STOPPING, false),
        ] {
            assert_eq!(is_lasting(&refused(code)), lasts, "{code:?}");
        }
        assert!(!is_lasting(&Error::TimedOut { message: String::new() }));
        assert!(told(&refused(ErrorCode::METHOD_NOT_FOUND)).contains("restart thrumd"));
        assert!(!told(&refused(ErrorCode::NOT_PERMITTED)).contains("restart"));
        pause(async {}).await;
        timeout(Duration::from_millis(20), pause(std::future::pending())).await.unwrap_err();
    }
}
