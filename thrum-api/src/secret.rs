//! Secrets, which are never printed by accident. Only `expose` returns a value.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serializer};
use subtle::ConstantTimeEq;

use crate::limits::{PAIRING_CODE_DIGITS, TOKEN_BYTES};

/// The error for a text that is not a token, code or key. It does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseSecretError {
    /// It is not 64 lower-case hex characters.
    #[error("a token has 64 hex characters")]
    Token,
    /// It is not four digits.
    #[error("a pairing code has 4 digits")]
    Code,
    /// It is empty, or has spaces or non-printable characters.
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
            /// The value, for the wire, the state file or the terminal of the person who asked for it.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            /// Whether both are equal, compared in constant time.
            pub fn matches(&self, other: &str) -> bool {
                bool::from(self.expose().as_bytes().ct_eq(other.as_bytes()))
            }

            /// Serializes the value. A field must ask for it with `serialize_with`.
            pub fn serialize_exposed<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.expose())
            }

            /// Serializes the value of an optional field.
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

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Serde's own error would contain the value, for example a code sent as a number.
                let text = SecretString::deserialize(deserializer)
                    .map_err(|_| serde::de::Error::custom("must be a text"))?;
                text.expose_secret().parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

secret! {
    /// The token that two paired daemons share: 32 random bytes as 64 hex characters.
    Token
}
secret! {
    /// The pairing code: four digits that a person types on the other machine.
    PairingCode
}

secret! {
    /// A Tailscale auth key, which adds a machine to a tailnet without a login.
    AuthKey
}

impl Token {
    /// The token with these random bytes.
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

impl PairingCode {
    /// The code for logs: the first digit and asterisks.
    pub fn masked(&self) -> String {
        let first = self.expose().chars().next().unwrap_or('*');
        format!("{first}***")
    }
}

impl FromStr for PairingCode {
    type Err = ParseSecretError;

    /// Accepts four digits, with spaces and dashes between them.
    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        if digits.len() != PAIRING_CODE_DIGITS || !digits.bytes().all(|c| c.is_ascii_digit()) {
            return Err(ParseSecretError::Code);
        }
        Ok(Self(SecretString::from(digits)))
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
