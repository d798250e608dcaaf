//! Whom the child runs as when we are root.

use std::path::Path;

/// A user that is not root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's own group.
    pub gid: u32,
}

/// Whom to try, in order: our own user, and the one that owns nothing.
const NAMES: &[&str] = &["thrum", "nobody"];

impl User {
    /// The first that the password file has. None when there is none.
    pub(super) fn find(passwd: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(passwd).ok()?;
        NAMES.iter().find_map(|name| text.lines().find_map(|line| Self::read(line, name)))
    }

    fn read(line: &str, wanted: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| *name == wanted)?;
        let mut numbers = fields.skip(1);
        let uid = numbers.next()?.parse().ok().filter(|uid| *uid != 0)?;
        let gid = numbers.next()?.parse().ok().filter(|gid| *gid != 0)?;
        Some(Self { name: name.to_owned(), uid, gid })
    }
}
