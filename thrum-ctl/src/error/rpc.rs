//! A refusal of the daemon, for programs and for people.

use thrum_api::{ErrorCode, RpcError};

pub(super) const VERSIONS_DIFFER: &str =
    "thrum and thrumd may be of different versions: thrum daemon restart";

/// The word of its code.
pub(super) fn word(code: ErrorCode) -> String {
    ErrorCode::ALL
        .iter()
        .find(|(known, _)| *known == code)
        .map_or_else(|| format!("error_{}", code.0.abs()), |(_, word)| word.replace(' ', "_"))
}

/// The daemon's own hint, else what we know of the code.
pub(super) fn hint(error: &RpcError) -> Option<String> {
    if let Some(hint) = error.member("hint").and_then(serde_json::Value::as_str) {
        return Some(hint.to_owned());
    }
    let hint = match error.code {
        ErrorCode::METHOD_NOT_FOUND => VERSIONS_DIFFER,
        ErrorCode::INTERNAL => "see why: thrum daemon logs -n 50",
        ErrorCode::NO_PAIRING_SESSION => "run there first: thrum peer add",
        ErrorCode::WRONG_CODE => "type the code that `thrum peer add` shows there",
        ErrorCode::PAIRING_LOCKED | ErrorCode::PAIRING_EXPIRED => {
            "start again on the other machine: thrum peer add"
        }
        ErrorCode::UNREACHABLE => "is it on, and does its daemon run? There: thrum daemon status",
        ErrorCode::STORAGE => "make room or repair the disk, then try again",
        ErrorCode::PAIRING_BUSY => "finish or end the other `thrum peer add` first",
        ErrorCode::STOPPING => "start it again: thrum daemon start",
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_hint_goes_before_ours() {
        let bare = RpcError::new(ErrorCode::NO_PAIRING_SESSION, "nobody is pairing there");
        assert_eq!(hint(&bare).as_deref(), Some("run there first: thrum peer add"));
        assert_eq!(hint(&bare.hint("wait")).as_deref(), Some("wait"));
    }

    #[test]
    fn only_an_unknown_method_is_a_matter_of_versions() {
        let of = |code| hint(&RpcError::new(code, "no"));
        assert_eq!(of(ErrorCode::METHOD_NOT_FOUND).as_deref(), Some(VERSIONS_DIFFER));
        assert_eq!(of(ErrorCode::INVALID_PARAMS), None);
    }

    #[test]
    fn a_refusal_has_the_word_of_its_code() {
        assert_eq!(word(ErrorCode::NO_PAIRING_SESSION), "no_pairing_session");
        assert_eq!(word(ErrorCode(-32999)), "error_32999");
    }
}
