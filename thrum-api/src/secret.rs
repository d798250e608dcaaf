//! Secrets that can't print themselves. `expose` is the one word that hands a value out.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serializer};
use subtle::ConstantTimeEq;

use crate::limits::{PAIRING_CODE_DIGITS, TOKEN_BYTES};

/// A text that is no token, code or key. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseSecretError {
    /// Not 64 lower-case hex characters.
    #[error("a token has 64 hex characters")]
    Token,
    /// Not four digits.
    #[error("a pairing code has 4 digits")]
    Code,
    /// Empty, or with blanks or characters that don't print.
    #[error("an auth key is one word of printable ASCII characters")]
    AuthKey,
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, JsonSchema)]
        #[schemars(with = "String")]
        pub struct $name(SecretString);

        impl $name {
            /// The value itself: for the wire, the state file or the terminal of the person who
            /// asked for it.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            /// Whether both are the same, in a time that does not depend on where they differ.
            pub fn matches(&self, other: &str) -> bool {
                bool::from(self.expose().as_bytes().ct_eq(other.as_bytes()))
            }

            /// Writes the value. Only for fields that say so with `serialize_with`, hence greppable.
            pub fn serialize_exposed<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.expose())
            }

            /// The same for a field that may be absent.
            pub fn serialize_optional<S: Serializer>(
                value: &Option<Self>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                match value {
                    Some(value) => value.serialize_exposed(serializer),
                    None => serializer.serialize_none(),
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Serde's own error shows what was there instead: a code sent as a number, whole.
                let text = SecretString::deserialize(deserializer)
                    .map_err(|_| serde::de::Error::custom("must be a text"))?;
                text.expose_secret().parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

secret! {
    /// What two paired daemons share: 32 random bytes as 64 hex characters.
    Token
}
secret! {
    /// The four digits that a person carries from one machine to the other.
    PairingCode
}

secret! {
    /// What lets a machine into a tailnet without a person: made by the tailnet's owner.
    AuthKey
}

impl Token {
    /// The token of these random bytes.
    pub fn from_bytes(bytes: &[u8; TOKEN_BYTES]) -> Self {
        use std::fmt::Write as _;
        let mut hex = String::with_capacity(2 * TOKEN_BYTES);
        for byte in bytes {
            // Writing to a String can't fail.
            if write!(hex, "{byte:02x}").is_err() {
                break;
            }
        }
        Self(SecretString::from(hex))
    }
}

impl FromStr for Token {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if text.len() != 2 * TOKEN_BYTES || !text.bytes().all(hex) {
            return Err(ParseSecretError::Token);
        }
        Ok(Self(SecretString::from(text)))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl PairingCode {
    /// The first digit and stars, as logs show it.
    pub fn masked(&self) -> String {
        let first = self.expose().chars().next().unwrap_or('*');
        format!("{first}***")
    }
}

impl FromStr for PairingCode {
    type Err = ParseSecretError;

    /// Takes four digits; spaces and dashes between them are what people type.
    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        if digits.len() != PAIRING_CODE_DIGITS || !digits.bytes().all(|c| c.is_ascii_digit()) {
            return Err(ParseSecretError::Code);
        }
        Ok(Self(SecretString::from(digits)))
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(hidden)")
    }
}

impl FromStr for AuthKey {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        if text.is_empty() || !text.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(ParseSecretError::AuthKey);
        }
        Ok(Self(SecretString::from(text)))
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(hidden)")
    }
}
