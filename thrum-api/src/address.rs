//! Addresses of recipients.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{DaemonId, ParseIdError};
use crate::names::{self, NameError};

/// An address of recipients in a project, as it stands in events: `name` (every agent of that name, on any machine),
/// `name@d_...` (that of one daemon), `@name` (the members of a group).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An agent.
    Agent {
        /// Its name, checked.
        name: String,
        /// Its daemon; None: any.
        daemon: Option<DaemonId>,
    },
    /// A group, by its checked name without `@`.
    Group(String),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What follows the `@` is no daemon id.
    #[error("the machine of an address: {0}")]
    Daemon(#[from] ParseIdError),
}

impl Address {
    /// Every agent of this name.
    ///
    /// # Errors
    /// When the name is invalid.
    pub fn agent(name: &str) -> Result<Self, NameError> {
        Ok(Self::Agent { name: names::agent(name)?, daemon: None })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent { name, daemon: None } => f.write_str(name),
            Self::Agent { name, daemon: Some(daemon) } => write!(f, "{name}@{daemon}"),
            Self::Group(name) => write!(f, "@{name}"),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(group) = text.strip_prefix('@') {
            return Ok(Self::Group(names::group(group)?));
        }
        Ok(match text.split_once('@') {
            Some((name, daemon)) => {
                Self::Agent { name: names::agent(name)?, daemon: Some(daemon.parse()?) }
            }
            None => Self::agent(text)?,
        })
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "`name`, `name@d_...` (of one daemon) or `@name` (a group)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_agent_one_of_a_daemon_or_a_group() {
        let daemon = DaemonId::from_bytes([0; 32]);
        for text in ["coder", "@reviewers", &format!("coder@{daemon}")] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("e\u{301}".parse::<Address>().unwrap().to_string(), "\u{e9}");
        for wrong in ["", "@", "@@a", "a b", "coder@", "coder@laptop", "a@b@c", "@a@b", "a\u{202e}"]
        {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }
}
