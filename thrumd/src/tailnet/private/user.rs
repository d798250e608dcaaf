//! The user that the child runs as when we are root.

/// A user that is not root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Id of the user's primary group.
    pub gid: u32,
}

/// Users to try, in order: our own, and the unprivileged system user.
const NAMES: &[&str] = &["thrum", "nobody"];

impl User {
    /// The first unprivileged user that the system knows. None when there is none.
    pub(super) fn find() -> Option<Self> {
        Self::find_with(|name| {
            let user = nix::unistd::User::from_name(name).ok()??;
            Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
        })
    }

    pub(super) fn find_with(look_up: impl Fn(&str) -> Option<Self>) -> Option<Self> {
        let unprivileged = |user: &Self| user.uid != 0 && user.gid != 0;
        NAMES.iter().find_map(|name| look_up(name).filter(unprivileged))
    }
}
