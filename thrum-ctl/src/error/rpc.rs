//! Identifier and hint of an error that the daemon returned.

use thrum_api::{ErrorCode, RpcError};

pub(super) const VERSIONS_DIFFER: &str =
    "thrum and thrumd may have different versions: thrum daemon restart";

/// The stable identifier of an error code.
pub(super) fn word(code: ErrorCode) -> String {
    ErrorCode::ALL
        .iter()
        .find(|(known, _)| *known == code)
        .map_or_else(|| format!("error_{}", code.0.abs()), |(_, word)| word.replace(' ', "_"))
}

/// The daemon's own hint, or else one for the error code.
pub(super) fn hint(error: &RpcError) -> Option<String> {
    if let Some(hint) = error.member("hint").and_then(serde_json::Value::as_str) {
        return Some(hint.to_owned());
    }
    let hint = match error.code {
        ErrorCode::METHOD_NOT_FOUND => VERSIONS_DIFFER,
        ErrorCode::INTERNAL => "see why: thrum daemon logs -n 50",
        ErrorCode::NO_PAIRING_SESSION => "first run on the other machine: thrum peer add",
        ErrorCode::WRONG_CODE => "type the code that `thrum peer add` shows on the other machine",
        ErrorCode::PAIRING_LOCKED | ErrorCode::PAIRING_EXPIRED => {
            "start again on the other machine: thrum peer add"
        }
        ErrorCode::UNREACHABLE => {
            "check that the other machine is on, and what its thrumd says; there: thrum doctor"
        }
        ErrorCode::STORAGE => "see what is wrong: thrum doctor",
        ErrorCode::PAIRING_BUSY => "first finish or cancel the other `thrum peer add`",
        ErrorCode::STOPPING => "start it again: thrum daemon start",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_hint_overrides_the_default() {
        let bare = RpcError::new(ErrorCode::NO_PAIRING_SESSION, "nobody is pairing there");
        assert_eq!(hint(&bare).as_deref(), Some("first run on the other machine: thrum peer add"));
        assert_eq!(hint(&bare.hint("wait")).as_deref(), Some("wait"));
    }

    #[test]
    fn only_an_unknown_method_hints_at_different_versions() {
        let of = |code| hint(&RpcError::new(code, "no"));
        assert_eq!(of(ErrorCode::METHOD_NOT_FOUND).as_deref(), Some(VERSIONS_DIFFER));
        assert_eq!(of(ErrorCode::INVALID_PARAMS), None);
    }

    #[test]
    fn every_error_code_has_an_identifier() {
        assert_eq!(word(ErrorCode::NO_PAIRING_SESSION), "no_pairing_session");
        assert_eq!(word(ErrorCode(-32999)), "error_32999");
    }
}
