use crate::error::Error;

/// Why a hook says nothing.
pub(super) enum Failure {
    /// No daemon runs, which is no error of the hook.
    Away,
    /// Something that doctor should tell.
    Error(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::NotRunning { .. } | Error::Died { .. } | Error::NotListening { .. } => {
                Self::Away
            }
            error => Self::Error(error.to_string()),
        }
    }
}

/// One thread, because starting more would cost more than a call.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Error(format!("can't start the I/O loop: {error}")))
}
