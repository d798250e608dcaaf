//! What a refused caller is counted as.

use thrum_api::peer::reason;
use thrum_api::{ErrorCode, RpcError};

use crate::metrics::Refusal;

/// The refusal of which the caller was told with this error; None if it was let in.
pub(super) fn of(error: &RpcError) -> Option<Refusal> {
    Some(match error.code {
        ErrorCode::NOT_AUTHENTICATED => {
            match error.member("reason").and_then(|reason| reason.as_str()) {
                Some(reason::OTHER_NODE) => Refusal::TokenElsewhere,
                Some(reason::GRANT_WITHDRAWN) => Refusal::GrantWithdrawn,
                _ => Refusal::UnknownToken,
            }
        }
        ErrorCode::NO_PAIRING_SESSION => Refusal::NoSession,
        ErrorCode::WRONG_CODE => Refusal::WrongCode,
        ErrorCode::PAIRING_WAIT => Refusal::CodeWait,
        ErrorCode::PAIRING_LOCKED => Refusal::Locked,
        ErrorCode::PAIRING_EXPIRED => Refusal::Expired,
        ErrorCode::ID_TAKEN => Refusal::IdTaken,
        ErrorCode::NOT_PROVED => Refusal::NotProved,
        ErrorCode::TAILNET_DOWN => Refusal::TailnetDown,
        ErrorCode::TOO_MANY_REQUESTS => Refusal::TooManyRequests,
        ErrorCode::TOO_LARGE => Refusal::TooLarge,
        ErrorCode::PARSE | ErrorCode::INVALID_REQUEST => Refusal::Invalid,
        _ => return None,
    })
}
