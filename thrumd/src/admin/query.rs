//! Parses the query of `GET /events`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use thrum_api::local::EventListParams;
use thrum_api::{ErrorCode, RpcError, Sequence};

/// Reads `after=N&type=T&project=P&newest=true&limit=N`.
///
/// # Errors
/// `INVALID_PARAMS`, naming the member that is unknown or wrong.
pub fn params(query: &str) -> Result<EventListParams, RpcError> {
    let mut params = EventListParams::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value).ok_or_else(|| wrong(name, "text in percent-encoding"))?;
        match name {
            "after" => {
                let number = value.parse().map_err(|_| wrong(name, "a whole number"))?;
                params.after = Sequence(number);
            }
            "limit" => {
                let number = value.parse().map_err(|_| wrong(name, "a whole number"))?;
                params.limit = Some(number);
            }
            "newest" => {
                params.newest = value.parse().map_err(|_| wrong(name, "true or false"))?;
            }
            "type" if value.is_empty() => params.event_type = None,
            "type" => params.event_type = Some(value),
            "project" if value.is_empty() => params.project = None,
            "project" => params.project = Some(value),
            other => {
                let message = format!("GET /events has no query parameter {other:?}");
                return Err(RpcError::new(ErrorCode::INVALID_PARAMS, message));
            }
        }
    }
    Ok(params)
}

fn wrong(name: &str, wanted: &str) -> RpcError {
    let message = format!("the query parameter {name} of GET /events must be {wanted}");
    RpcError::new(ErrorCode::INVALID_PARAMS, message)
}

/// Undoes percent-encoding; `+` is a space. None if it is incomplete or not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let is_whole = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(is_whole) {
        return None;
    }
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_a_wrong_one_is_refused_by_name() {
        let read = params("after=7&type=message.sent&project=a%2Fb+%C3%A4&newest=true&limit=3");
        let read = read.unwrap();
        assert_eq!((read.after, read.newest, read.limit), (Sequence(7), true, Some(3)));
        assert_eq!(read.event_type.as_deref(), Some("message.sent"));
        assert_eq!(read.project.as_deref(), Some("a/b ä"));
        assert_eq!(params("").unwrap().after, Sequence::ZERO);
        for wrong in ["after=-1", "after", "afer=1", "type=%f", "type=%zz", "project=%ff"] {
            let error = params(wrong).unwrap_err();
            let name = wrong.split('=').next().unwrap();
            assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
            assert!(error.message.contains(name), "{error}");
        }
    }
}
