//! What the page may ask thrumd: a table of methods. One that is not in it is refused, and a test compares it with the
//! contract.
//!
//! The page reads everything, and writes as the person alone. It neither changes what machines are paired nor stops anything:
//! that is for a terminal.

use serde::Serialize;
use serde_json::{Map, Value};
use thrum_api::envelope::{self, Request, RequestId};
use thrum_api::local::{
    AgentList, ConversationList, EventList, GroupList, MessageDeliveries, MessageInbox,
    MessageList, MessageMarkRead, MessageSearch, MessageSend, MessageShow, MessageStatus,
    MessageThread, PeerCheck, PeerPath, Status,
};
use thrum_api::{ErrorCode, Method, RpcError, names};

/// Who reads if the page is nobody's: a name for methods that need one. What that name has read is not shown.
const NOBODY: &str = "nobody";

/// A method that the page has.
struct Allowed {
    method: &'static str,
    /// Where its params say who asks.
    person: Person,
    /// A field with the only value that it may have.
    fixed: Option<(&'static str, &'static str)>,
    /// A field that it may not have.
    without: Option<&'static str>,
    /// Whether it may take long because another machine is asked.
    slow: bool,
}

/// Where params say who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Person {
    /// Nowhere.
    Unnamed,
    /// In a field that may be absent.
    Optional(&'static str),
    /// In a field that only says what that agent has read.
    Reads(&'static str),
    /// In a field without which it can't be asked.
    Acts(&'static str),
}

const fn allowed<M: Method>() -> Allowed {
    Allowed { method: M::NAME, person: Person::Unnamed, fixed: None, without: None, slow: false }
}

impl Allowed {
    const fn named(mut self, person: Person) -> Self {
        self.person = person;
        self
    }

    const fn fixed(mut self, field: &'static str, value: &'static str) -> Self {
        self.fixed = Some((field, value));
        self
    }

    const fn without(mut self, field: &'static str) -> Self {
        self.without = Some(field);
        self
    }

    const fn slow(mut self) -> Self {
        self.slow = true;
        self
    }
}

const ALLOWED: &[Allowed] = &[
    allowed::<Status>(),
    allowed::<EventList>(),
    allowed::<MessageSend>().named(Person::Acts("from")),
    allowed::<MessageInbox>().named(Person::Acts("agent")),
    allowed::<MessageMarkRead>()
        .named(Person::Acts("agent"))
        .fixed("route", "page")
        .without("session"),
    allowed::<MessageShow>().named(Person::Reads("agent")),
    allowed::<MessageThread>().named(Person::Reads("agent")),
    // What changes is told by the stream of changes. Who waits would keep others from asking.
    allowed::<MessageStatus>().without("wait_ms"),
    allowed::<MessageSearch>(),
    allowed::<MessageList>().named(Person::Optional("agent")),
    allowed::<MessageDeliveries>().named(Person::Optional("agent")),
    allowed::<ConversationList>().named(Person::Optional("agent")),
    allowed::<AgentList>(),
    allowed::<GroupList>(),
    allowed::<PeerCheck>().slow(),
    allowed::<PeerPath>().slow(),
];

/// A request that thrumd may get.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its bytes.
    pub body: Vec<u8>,
    /// Whether it may take long.
    pub slow: bool,
}

#[derive(Serialize)]
struct Forwarded<'a> {
    jsonrpc: &'static str,
    id: RequestId,
    method: &'static str,
    params: &'a Map<String, Value>,
}

/// The request of a page that is used by this person, as thrumd may get it.
///
/// # Errors
/// The bytes of the response that refuses it.
pub fn admit(body: &[u8], me: Option<&str>) -> Result<Admitted, Vec<u8>> {
    let refuse = |id: Option<&RequestId>, error| envelope::response::<()>(id, Err(&error));
    let request = Request::parse(body).map_err(|error| refuse(None, error))?;
    let id = request.id.clone();
    decide(&request, me).map_err(|error| refuse(id.as_ref(), error))
}

fn decide(request: &Request<'_>, me: Option<&str>) -> Result<Admitted, RpcError> {
    let Some(rule) = ALLOWED.iter().find(|rule| rule.method == request.method) else {
        let name: String = request.method.chars().take(64).collect();
        return Err(refused(format!("the page of thrum ui can't call {name:?}"))
            .hint("use thrum in a terminal"));
    };
    let Some(id) = request.id.clone() else { return Err(invalid("the request has no id")) };
    let mut params = match request.params.map_or("{}", |params| params.get()) {
        "null" => Map::new(),
        // By position they would be taken, too: not here.
        text => serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?,
    };
    match (rule.person, me) {
        (Person::Unnamed, _) => {}
        (Person::Optional(field) | Person::Reads(field) | Person::Acts(field), Some(me)) => {
            force(&mut params, field, me, |given| names::agent(given).ok())?;
        }
        (Person::Optional(field), None) => forbid(&params, field)?,
        (Person::Reads(field), None) => {
            forbid(&params, field)?;
            params.insert(field.to_owned(), NOBODY.into());
        }
        (Person::Acts(_), None) => {
            return Err(refused("this page is for reading only: it is nobody's".to_owned())
                .hint("end thrum ui and run: thrum ui --as NAME"));
        }
    }
    if let Some((field, only)) = rule.fixed {
        force(&mut params, field, only, |given| Some(given.to_owned()))?;
    }
    if let Some(field) = rule.without {
        forbid(&params, field)?;
    }
    let forwarded = Forwarded { jsonrpc: "2.0", id, method: rule.method, params: &params };
    let body = serde_json::to_vec(&forwarded).map_err(|error| invalid(&error.to_string()))?;
    Ok(Admitted { body, slow: rule.slow })
}

/// Sets a field to the only value that it may have.
fn force(
    params: &mut Map<String, Value>,
    field: &str,
    only: &str,
    read: impl Fn(&str) -> Option<String>,
) -> Result<(), RpcError> {
    match params.get(field) {
        None | Some(Value::Null) => {}
        Some(Value::String(given)) if read(given).is_some_and(|given| given == only) => {}
        Some(Value::String(given)) => {
            let given: String = given.chars().take(64).collect();
            return Err(refused(format!("{field} is {given:?}, and can only be {only:?} here")));
        }
        Some(_) => return Err(invalid(&format!("{field} is no text"))),
    }
    params.insert(field.to_owned(), only.into());
    Ok(())
}

fn forbid(params: &Map<String, Value>, field: &str) -> Result<(), RpcError> {
    match params.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(refused(format!("{field} can't be set here"))),
    }
}

fn refused(message: String) -> RpcError {
    RpcError::new(ErrorCode::NOT_PERMITTED, message)
}

fn invalid(why: &str) -> RpcError {
    RpcError::new(ErrorCode::INVALID_PARAMS, format!("invalid params: {why}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use thrum_api::local;

    use super::*;

    /// What the page can't do.
    const REFUSED: &[&str] = &[
        "health",
        "daemon.shutdown",
        "event.append",
        "quarantine.list",
        "quarantine.clear",
        "message.wait",
        "message.find",
        "message.sent",
        "message.delete",
        "agent.register",
        "agent.remove",
        "session.start",
        "session.update",
        "session.end",
        "session.hook",
        "session.messages",
        "session.wake",
        "group.change",
        "socket.add",
        "socket.list",
        "socket.remove",
        "peer.add",
        "peer.wait",
        "peer.cancel",
        "peer.resolve",
        "peer.join",
        "peer.list",
        "peer.find",
        "peer.remove",
        "peer.sync",
        "peer.policy",
        "wake.switch",
    ];

    fn ask(method: &str, params: Value, me: Option<&str>) -> Result<Value, RpcError> {
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        match admit(&serde_json::to_vec(&body).unwrap(), me) {
            Ok(admitted) => {
                let mut sent: Value = serde_json::from_slice(&admitted.body).unwrap();
                assert_eq!((&sent["id"], &sent["method"]), (&json!(7), &json!(method)));
                Ok(sent["params"].take())
            }
            Err(answer) => match envelope::answer::<Value>(&answer).unwrap_err() {
                envelope::AnswerError::Refused(error) => Err(error),
                other => panic!("{other:?}"),
            },
        }
    }

    #[test]
    fn each_method_of_the_contract_is_allowed_or_refused() {
        let contract: BTreeSet<&str> = local::ALL.iter().map(|method| method.name).collect();
        let allowed: BTreeSet<&str> = ALLOWED.iter().map(|rule| rule.method).collect();
        let refused: BTreeSet<&str> = REFUSED.iter().copied().collect();
        assert_eq!(&allowed | &refused, contract, "decide for a new method");
        assert_eq!(&allowed & &refused, BTreeSet::new());
        for method in REFUSED.iter().copied().chain(["sync.pull", "", "STATUS"]) {
            let error = ask(method, json!({}), Some("alice")).unwrap_err();
            assert_eq!(error.code, ErrorCode::NOT_PERMITTED, "{method}");
        }
    }

    /// By the schema of the contract: a field that a rule forgets would be the page's to choose.
    #[test]
    fn each_agent_of_the_params_has_a_rule() {
        for rule in ALLOWED {
            let described = local::ALL.iter().find(|method| method.name == rule.method).unwrap();
            let params = (described.params)(&mut Default::default());
            let params = serde_json::to_value(params).unwrap();
            let required = |field: &str| {
                params["required"].as_array().is_some_and(|all| all.contains(&json!(field)))
            };
            let has = |field: &str| params["properties"].get(field).is_some();
            let method = rule.method;
            match rule.person {
                // `from` is a filter there.
                Person::Unnamed => assert!(!has("agent") && !required("from"), "{method}"),
                Person::Optional(field) => assert!(has(field) && !required(field), "{method}"),
                Person::Reads(field) | Person::Acts(field) => assert!(required(field), "{method}"),
            }
            for field in ["session", "wait_ms", "timeout_ms", "claim"] {
                assert_eq!(has(field), rule.without == Some(field), "{method} {field}");
            }
            assert_eq!(has("route"), rule.fixed.is_some(), "{method}");
        }
    }

    #[test]
    fn who_writes_and_reads_is_the_person() {
        let me = Some("alice");
        let sent = json!({ "to": ["coder"], "text": "hi \u{1}", "project": "app" });
        let mut expected = sent.clone();
        expected["from"] = json!("alice");
        assert_eq!(ask("message.send", sent.clone(), me).unwrap(), expected);
        assert_eq!(ask("message.send", expected.clone(), me).unwrap(), expected);
        for other in [json!("bob"), json!("alice@other"), json!("")] {
            expected["from"] = other;
            let error = ask("message.send", expected.clone(), me).unwrap_err();
            assert_eq!(error.code, ErrorCode::NOT_PERMITTED);
        }
        expected["from"] = json!(3);
        let error = ask("message.send", expected, me).unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
        let error = ask("message.send", sent, None).unwrap_err();
        assert!(error.member("hint").unwrap().as_str().unwrap().contains("thrum ui --as NAME"));
        let read = ask("message.mark_read", json!({ "messages": [] }), me).unwrap();
        assert_eq!(read, json!({ "agent": "alice", "messages": [], "route": "page" }));
        for (field, value) in [("route", "hook"), ("session", "s1"), ("agent", "bob")] {
            let error = ask("message.mark_read", json!({ "messages": [], field: value }), me);
            assert_eq!(error.unwrap_err().code, ErrorCode::NOT_PERMITTED, "{field}");
        }
        let list = |params, me| ask("message.list", params, me);
        assert_eq!(list(Value::Null, me).unwrap(), json!({ "agent": "alice" }));
        assert_eq!(list(json!({ "limit": 3 }), None).unwrap(), json!({ "limit": 3 }));
        assert!(list(json!({ "agent": "bob" }), None).is_err());
        assert_eq!(ask("message.thread", json!({}), None).unwrap(), json!({ "agent": "nobody" }));
        assert!(ask("message.thread", json!({ "agent": "bob" }), None).is_err());
        assert!(ask("message.status", json!({ "wait_ms": 9 }), me).is_err());
        let from = json!({ "words": "x", "from": "bob" });
        assert_eq!(ask("message.search", from.clone(), me).unwrap(), from);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (body, code) in [
            ("", ErrorCode::PARSE),
            ("{", ErrorCode::PARSE),
            ("[]", ErrorCode::INVALID_REQUEST),
            (r#"{"jsonrpc":"1.0","id":1,"method":"status"}"#, ErrorCode::INVALID_REQUEST),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"status","params":[1]}"#,
                ErrorCode::INVALID_PARAMS,
            ),
            (r#"{"jsonrpc":"2.0","method":"status"}"#, ErrorCode::INVALID_PARAMS),
        ] {
            let answer = admit(body.as_bytes(), None).unwrap_err();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["error"]["code"], code.0, "{body}");
        }
        let plain = br#"{"jsonrpc":"2.0","id":"a","method":"status"}"#;
        assert!(!admit(plain, None).unwrap().slow);
    }
}
