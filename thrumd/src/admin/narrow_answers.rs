//! What an answer over a narrow socket may hold: messages of its project, and nothing about others. It comes from the same
//! code as those of the main socket, which finds more.

use serde_json::Value;
use thrum_api::event::EventRef;
use thrum_api::local::{
    Message, MessageFind, MessageInbox, MessageSearch, MessageShow, MessageThread, MessageWait,
};
use thrum_api::{ErrorCode, Method as _, RpcError, Sequence};

use super::scope::Scope;
use crate::large;

/// Where an answer has messages.
enum Place {
    One,
    /// The member, and where each element has its message.
    Each(&'static str, &'static str),
}

const PLACES: &[(&str, Place)] = &[
    (MessageFind::NAME, Place::One),
    (MessageShow::NAME, Place::One),
    (MessageInbox::NAME, Place::Each("/result/messages", "")),
    (MessageWait::NAME, Place::Each("/result/messages", "")),
    (MessageThread::NAME, Place::Each("/result/messages", "")),
    (MessageSearch::NAME, Place::Each("/result/hits", "/message")),
];

/// An answer that was cut, and what is still to be counted.
pub(super) struct Cut {
    whole: Value,
    /// The conversation, and the position after which its answers are counted; and where the count stands.
    pub(super) count: Option<(EventRef, Sequence, &'static str)>,
}

/// Cuts an answer to the project of the scope. None: it stays as it is.
///
/// # Errors
/// When it is not what it should be, or is about another project: then nothing of it is handed out.
pub(super) fn cut(
    scope: &Scope,
    method: &str,
    after: Sequence,
    answer: &[u8],
) -> Result<Option<Cut>, RpcError> {
    let Some((_, place)) = PLACES.iter().find(|(name, _)| *name == method) else {
        return Ok(None);
    };
    let whole: Option<Value> = large::by_size(answer.len(), || serde_json::from_slice(answer).ok());
    let mut whole = whole.ok_or_else(unclear)?;
    if whole.get("error").is_some() {
        return Ok(None);
    }
    let count = match place {
        Place::One => {
            let message = whole.pointer("/result/message").ok_or_else(unclear)?;
            if !is_own(scope, message) {
                return Err(scope.no_message());
            }
            let has_replies = whole.pointer("/result/replies").is_some_and(|count| *count != 0);
            let root = has_replies.then(|| root(message)).transpose()?;
            root.map(|root| (root, Sequence::ZERO, "/result/replies"))
        }
        Place::Each(list, message) => {
            // What a person reads there is that there are others.
            if let Some(elsewhere) = whole.pointer_mut("/result/unread_elsewhere") {
                *elsewhere = 0.into();
            }
            let count = match method == MessageThread::NAME {
                true => left(&whole, after)?,
                false => None,
            };
            let all = whole.pointer_mut(list).and_then(Value::as_array_mut).ok_or_else(unclear)?;
            all.retain(|one| one.pointer(message).is_some_and(|message| is_own(scope, message)));
            count
        }
    };
    Ok(Some(Cut { whole, count }))
}

impl Cut {
    /// The answer, with the number of those that were counted.
    pub(super) fn into_bytes(mut self, counted: Option<u64>) -> Vec<u8> {
        let at = self.count.and_then(|(_, _, at)| self.whole.pointer_mut(at));
        if let (Some(number), Some(counted)) = (at, counted) {
            *number = counted.into();
        }
        self.whole.to_string().into_bytes()
    }
}

fn is_own(scope: &Scope, message: &Value) -> bool {
    scope.has(message["project"].as_str().map(str::as_bytes))
}

/// The conversation that a message belongs to.
fn root(message: &Value) -> Result<EventRef, RpcError> {
    let message: Message = serde_json::from_value(message.clone()).map_err(|_| unclear())?;
    Ok(message.thread.unwrap_or(message.event()))
}

/// The conversation of a page with more to come, and where the page ends.
fn left(
    whole: &Value,
    after: Sequence,
) -> Result<Option<(EventRef, Sequence, &'static str)>, RpcError> {
    let result = &whole["result"];
    if result["left"].as_u64().ok_or_else(unclear)? == 0 {
        return Ok(None);
    }
    let root: EventRef = serde_json::from_value(result["thread"].clone()).map_err(|_| unclear())?;
    let messages = result["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    // The first message may have come after its answers.
    let last = messages.iter().rfind(|message| {
        let of = (&message["event_id"], &message["origin_daemon"]);
        of != (&result["thread"]["event_id"], &result["thread"]["origin_daemon"])
    });
    let last = last.and_then(|last| last["sequence"].as_u64()).map(Sequence);
    Ok(Some((root, last.unwrap_or(after), "/result/left")))
}

fn unclear() -> RpcError {
    RpcError::new(ErrorCode::INTERNAL, "the answer can't be cut to the project of this socket")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cut_of(method: &str, answer: &Value) -> Result<Option<Value>, RpcError> {
        let scope = Scope::new("app", None).unwrap();
        let cut = cut(&scope, method, Sequence::ZERO, answer.to_string().as_bytes())?;
        Ok(cut.map(|cut| cut.whole))
    }

    #[test]
    fn what_is_of_others_is_cut_out() {
        let (own, other) = (json!({"project": "app"}), json!({"project": "other"}));
        let none = json!({"text": "of no project"});
        let inbox = json!({"result": {"messages": [own, other, none], "unread_elsewhere": 3}});
        let shown = cut_of("message.inbox", &inbox).unwrap().unwrap();
        assert_eq!(shown, json!({"result": {"messages": [own], "unread_elsewhere": 0}}));
        let hits = json!({"result": {"hits": [{"message": other}, {"message": own}, {}]}});
        let shown = cut_of("message.search", &hits).unwrap().unwrap();
        assert_eq!(shown, json!({"result": {"hits": [{"message": own}]}}));
        for method in ["message.find", "message.show"] {
            let refused = cut_of(method, &json!({"result": {"message": other}}));
            assert_eq!(refused.unwrap_err().code, ErrorCode::NOT_FOUND, "{method}");
        }
    }

    #[test]
    fn what_is_unclear_is_not_handed_out_and_errors_are() {
        for (method, _) in PLACES {
            for odd in
                [json!({}), json!([]), json!({"result": {}}), json!({"result": {"messages": 3}})]
            {
                let refused = cut_of(method, &odd).unwrap_err();
                assert_eq!(refused.code, ErrorCode::INTERNAL, "{method} {odd}");
            }
            let error = json!({"id": 1, "error": {"code": 1}});
            assert!(cut_of(method, &error).unwrap().is_none(), "{method}");
        }
        let scope = Scope::new("app", None).unwrap();
        assert!(cut(&scope, "message.inbox", Sequence::ZERO, b"{").is_err());
    }
}
