//! Why a request to a peer failed.

/// The kind of a failure. It decides how long the peer is left alone, and for which requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The peer could not be reached, the connection broke, or another program answers there. Every request
    /// backs off until the peer answers or calls.
    Unreachable,
    /// The peer refused our token.
    TokenRefused,
    /// The peer answered with an error or with something invalid. Another program at its port might do
    /// that as well, so it confirms no pairing. Only requests of this kind back off, until one succeeds.
    BadAnswer,
    /// Our own log failed. Backs off like `BadAnswer`, but for 30 s at most.
    Local,
}

/// A failure and its description for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// What happened.
    pub text: String,
}

impl Failure {
    /// A failure caused by the peer's answer.
    pub fn bad_answer(text: String) -> Self {
        Self { kind: FailureKind::BadAnswer, text }
    }

    /// A failure of our own log.
    pub fn local(text: String) -> Self {
        Self { kind: FailureKind::Local, text }
    }

    /// The peer was removed or paired again meanwhile. No answer of the peer caused that.
    pub fn no_peer() -> Self {
        Self::local("it is no longer a peer".to_owned())
    }
}
