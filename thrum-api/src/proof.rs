//! Proofs of who created an event: the hash chain of an origin, and signatures.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use schemars::JsonSchema;

use crate::text_form::text_form;

/// The error for a text that is not a chain value or a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct ParseProofError {
    text: String,
    wanted: &'static str,
}

macro_rules! base64url_bytes {
    ($(#[$doc:meta])* $name:ident, bytes $bytes:literal, wanted $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(with = "String")]
        pub struct $name(pub [u8; $bytes]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&BASE64URL_NOPAD.encode_display(&self.0), f)
            }
        }

        impl FromStr for $name {
            type Err = ParseProofError;

            fn from_str(text: &str) -> Result<Self, ParseProofError> {
                let decoded = || -> Option<[u8; $bytes]> {
                    // A long text is refused before memory is taken for it.
                    (text.len() == BASE64URL_NOPAD.encode_len($bytes)).then_some(())?;
                    BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
                };
                decoded().map(Self).ok_or_else(|| ParseProofError {
                    text: text.chars().take(96).collect(),
                    wanted: $wanted,
                })
            }
        }

        text_form!($name);
    };
}

base64url_bytes! {
    /// A value of an origin's hash chain, SHA-256: it stands for all events of the origin up to one position.
    Chain, bytes 32, wanted "a chain value (43 characters of base64url)"
}
base64url_bytes! {
    /// An Ed25519 signature. It is not a secret.
    Signature, bytes 64, wanted "a signature (86 characters of base64url)"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_value_and_a_signature_have_one_spelling() {
        let chain = Chain(std::array::from_fn(|at| 251_u8.wrapping_add(at as u8)));
        let text = "-_z9_v8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRo";
        assert_eq!((chain.to_string().as_str(), text.parse()), (text, Ok(chain)));
        assert_eq!(serde_json::to_string(&chain).unwrap(), format!("{text:?}"));
        assert_eq!(serde_json::from_str::<Chain>(&format!("{text:?}")).unwrap(), chain);

        let signature = Signature([0xa5; 64]);
        let long = signature.to_string();
        assert_eq!((long.len(), long.parse()), (86, Ok(signature)));
        assert_eq!(serde_json::to_string(&signature).unwrap(), format!("{long:?}"));

        // The last character carries bits that no byte has: 2 of a chain value, 4 of a signature.
        let with_last = |text: &str, last| format!("{}{last}", &text[..text.len() - 1]);
        for last in ["p", "q", "r"] {
            assert!(with_last(text, last).parse::<Chain>().is_err(), "{last}");
        }
        for last in ["R", "Y", "f"] {
            assert!(with_last(&long, last).parse::<Signature>().is_err(), "{last}");
        }
        for wrong in [
            String::new(),
            text[1..].to_owned(),
            format!("{text}="),
            format!("{text}\n"),
            format!("{text}A"),
            text.replace('-', "+").replace('_', "/"),
            long.clone(),
            "A".repeat(1 << 20),
        ] {
            let error = wrong.parse::<Chain>().map(drop).unwrap_err().to_string();
            assert!(error.ends_with("is not a chain value (43 characters of base64url)"));
            assert!(error.len() < 200, "{error}");
        }
        for wrong in [&long[..85], &long[..82], text, &format!("{long}=="), &format!(" {long}")] {
            assert!(wrong.parse::<Signature>().is_err(), "{wrong}");
        }
    }
}
