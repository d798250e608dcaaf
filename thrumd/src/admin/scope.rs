//! The scope of a narrow socket: which methods it has, and for which project and agent.
//!
//! One table says it all. A method that is in none of its parts is refused, and a test compares it with the contract.

use serde_json::{Map, Value};
use thrum_api::local::{
    AgentList, AgentRegister, AgentRemove, GroupList, Health, MessageDelete, MessageFind,
    MessageInbox, MessageMarkRead, MessageRef, MessageSearch, MessageSend, MessageSent,
    MessageShow, MessageStatus, MessageThread, MessageWait, SessionEnd, SessionHook,
    SessionMessages, SessionStart, SessionUpdate, SessionWake,
};
use thrum_api::{ErrorCode, Method, RpcError, names};

/// What a narrow socket may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The only project, by its checked name.
    pub project: String,
    /// The only agent that it sends and reads as; None: any of this machine and that project.
    pub agent: Option<String>,
}

/// A method that a narrow socket has.
struct Allowed {
    method: &'static str,
    /// Whether its params have a project: that of the scope.
    project: bool,
    /// The field with the agent that calls: that of the scope.
    agent: Option<&'static str>,
    /// The field with messages, which must be of the project.
    messages: Option<&'static str>,
}

const fn allowed<M: Method>() -> Allowed {
    Allowed { method: M::NAME, project: false, agent: None, messages: None }
}

impl Allowed {
    const fn project(mut self) -> Self {
        self.project = true;
        self
    }

    const fn agent(mut self, field: &'static str) -> Self {
        self.agent = Some(field);
        self
    }

    const fn messages(mut self, field: &'static str) -> Self {
        self.messages = Some(field);
        self
    }
}

const ALLOWED: &[Allowed] = &[
    allowed::<Health>(),
    allowed::<MessageSend>().project().agent("from").messages("reply_to"),
    allowed::<MessageInbox>().project().agent("agent"),
    allowed::<MessageWait>().project().agent("agent"),
    allowed::<MessageMarkRead>().agent("agent").messages("messages"),
    allowed::<MessageFind>().project().agent("agent"),
    allowed::<MessageShow>().agent("agent").messages("message"),
    allowed::<MessageThread>().agent("agent").messages("message"),
    allowed::<MessageStatus>().messages("message"),
    allowed::<MessageSent>().project().agent("agent"),
    allowed::<MessageDelete>().agent("agent").messages("message"),
    allowed::<MessageSearch>().project(),
    allowed::<AgentList>().project(),
    allowed::<AgentRegister>().project().agent("agent"),
    allowed::<AgentRemove>().project().agent("agent"),
    allowed::<SessionStart>().project().agent("agent"),
    allowed::<SessionUpdate>().project().agent("agent"),
    allowed::<SessionEnd>().project().agent("agent"),
    allowed::<SessionHook>().project().agent("agent"),
    allowed::<SessionMessages>().project().agent("agent"),
    allowed::<SessionWake>().project().agent("agent"),
    allowed::<GroupList>().project(),
];

/// A request that the scope admits.
#[derive(Debug, PartialEq)]
pub(super) struct Admitted {
    /// Its params, with the project and the agent of the scope.
    pub(super) params: Map<String, Value>,
    /// Messages that it names, which are still to be looked at.
    pub(super) messages: Vec<MessageRef>,
}

impl Scope {
    /// A scope of these names.
    ///
    /// # Errors
    /// When a name is invalid.
    pub fn new(project: &str, agent: Option<&str>) -> Result<Self, names::NameError> {
        let project = names::project(project)?;
        Ok(Self { project, agent: agent.map(names::agent).transpose()? })
    }

    /// What becomes of a request.
    ///
    /// # Errors
    /// When the method, the project or the agent is another one, and when the params are none.
    pub(super) fn admit(&self, method: &str, params: Value) -> Result<Admitted, RpcError> {
        let Some(rule) = ALLOWED.iter().find(|rule| rule.method == method) else {
            let name: String = method.chars().take(64).collect();
            return Err(self.refused(format!("the method {name:?} is not there")));
        };
        // Params by position would be taken, too: not here.
        let mut params = match params {
            Value::Object(params) => params,
            Value::Null => Map::new(),
            _ => return Err(invalid("the params are no object")),
        };
        if rule.project {
            self.force(&mut params, "project", &self.project, names::project)?;
        }
        if let (Some(field), Some(agent)) = (rule.agent, &self.agent) {
            self.force(&mut params, field, agent, names::agent)?;
        }
        if [SessionStart::NAME, SessionHook::NAME].contains(&method)
            && params.get("pid").is_some_and(|pid| !pid.is_null())
        {
            let message =
                "a process of a container has another id here, so that it can't be watched";
            return Err(self.refused(message).hint("let the session end with its connection"));
        }
        let messages = match rule.messages.and_then(|field| params.get(field)) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(messages)) => {
                messages.iter().map(message).collect::<Result<_, _>>()?
            }
            Some(one) => vec![message(one)?],
        };
        Ok(Admitted { params, messages })
    }

    /// Sets a field to the only value that it may have. A person may have written that in another way.
    fn force(
        &self,
        params: &mut Map<String, Value>,
        field: &str,
        only: &str,
        read: impl Fn(&str) -> Result<String, names::NameError>,
    ) -> Result<(), RpcError> {
        match params.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::String(given)) if read(given).is_ok_and(|given| given == only) => {}
            Some(Value::String(given)) => {
                let given: String = given.chars().take(64).collect();
                return Err(self.refused(format!("{field} is {given:?}, and can only be {only:?}")));
            }
            Some(_) => return Err(invalid(&format!("{field} is no text"))),
        }
        params.insert(field.to_owned(), Value::String(only.to_owned()));
        Ok(())
    }

    fn refused(&self, what: impl std::fmt::Display) -> RpcError {
        let project = &self.project;
        let message =
            format!("this is a narrow socket, for messages of the project {project:?}: {what}");
        RpcError::new(ErrorCode::NOT_PERMITTED, message)
            .hint("outside of the container or sandbox, the socket of thrumd has everything")
    }

    /// Whether an event of this project, as it stands in the event, may be seen.
    pub(super) fn has(&self, project: Option<&[u8]>) -> bool {
        let name = project.and_then(|project| str::from_utf8(project).ok());
        name.and_then(|name| names::project(name).ok()).is_some_and(|name| name == self.project)
    }

    /// The messages are not of this project, or not here at all: which of both is not told.
    pub(super) fn no_message(&self) -> RpcError {
        let message = format!("there is no such message in the project {:?}", self.project);
        RpcError::new(ErrorCode::NOT_FOUND, message)
    }
}

fn message(value: &Value) -> Result<MessageRef, RpcError> {
    serde_json::from_value(value.clone()).map_err(|error| invalid(&error.to_string()))
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

    /// What narrow sockets have not.
    const REFUSED: &[&str] = &[
        "status",
        "daemon.shutdown",
        "event.append",
        "event.list",
        "message.list",
        "message.deliveries",
        "conversation.list",
        "quarantine.list",
        "quarantine.clear",
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
        "peer.check",
        "peer.path",
        "peer.policy",
        "wake.switch",
    ];

    fn scope(agent: Option<&str>) -> Scope {
        Scope::new("app", agent).unwrap()
    }

    fn code(outcome: Result<Admitted, RpcError>) -> ErrorCode {
        outcome.unwrap_err().code
    }

    #[test]
    fn each_method_of_the_contract_is_allowed_or_refused() {
        let contract: BTreeSet<&str> = local::ALL.iter().map(|method| method.name).collect();
        let allowed: BTreeSet<&str> = ALLOWED.iter().map(|rule| rule.method).collect();
        let refused: BTreeSet<&str> = REFUSED.iter().copied().collect();
        assert_eq!(&allowed | &refused, contract, "decide for a new method");
        assert_eq!(&allowed & &refused, BTreeSet::new());
        for method in REFUSED.iter().copied().chain(["sync.pull", "", "MESSAGE.SEND"]) {
            let refused = scope(None).admit(method, json!({})).unwrap_err();
            assert_eq!(refused.code, ErrorCode::NOT_PERMITTED, "{method}");
            assert!(refused.message.contains("narrow socket"), "{refused:?}");
        }
    }

    /// By the schema of the contract: a field that a rule forgets would be the caller's to choose.
    #[test]
    fn each_project_agent_and_message_of_the_params_has_a_rule() {
        for rule in ALLOWED {
            let described = local::ALL.iter().find(|method| method.name == rule.method).unwrap();
            let params = (described.params)(&mut Default::default());
            let params = serde_json::to_value(params).unwrap();
            let has = |field: &str| params["properties"].get(field).is_some();
            let method = rule.method;
            assert_eq!(rule.project, has("project"), "{method}");
            let agent = ["from", "agent"].into_iter().find(|field| {
                has(field)
                    && params["required"].as_array().is_some_and(|all| all.contains(&json!(field)))
            });
            assert_eq!(rule.agent, agent, "{method}");
            let messages = ["message", "messages", "reply_to"].into_iter().find(|field| has(field));
            assert_eq!(rule.messages, messages, "{method}");
        }
    }

    #[test]
    fn the_project_and_the_agent_are_those_of_the_scope() {
        let fixed = scope(Some("coder"));
        let sent = json!({ "text": "hello", "to": ["planner"] });
        let admitted = fixed.admit("message.send", sent.clone()).unwrap();
        assert_eq!(admitted.params["project"], "app");
        assert_eq!(admitted.params["from"], "coder");
        let same =
            json!({ "text": "hello", "to": ["planner"], "from": "@coder", "project": "app" });
        assert_eq!(fixed.admit("message.send", same).unwrap(), admitted);
        for (field, other) in
            [("from", "planner"), ("from", "coder@other"), ("project", "other"), ("project", "")]
        {
            let mut params = sent.clone();
            params[field] = json!(other);
            assert_eq!(
                code(fixed.admit("message.send", params)),
                ErrorCode::NOT_PERMITTED,
                "{other}"
            );
        }
        let any =
            scope(None).admit("message.inbox", json!({ "agent": "x", "project": null })).unwrap();
        assert_eq!((&any.params["agent"], &any.params["project"]), (&json!("x"), &json!("app")));
        for params in [
            json!(["coder", "other"]),
            json!("x"),
            json!({ "project": 3 }),
            json!({ "project": ["app"] }),
        ] {
            assert_eq!(code(fixed.admit("message.inbox", params)), ErrorCode::INVALID_PARAMS);
        }
        assert_eq!(fixed.admit("agent.list", Value::Null).unwrap().params["project"], "app");
        let start = json!({ "pid": 7 });
        assert_eq!(code(fixed.admit("session.start", start)), ErrorCode::NOT_PERMITTED);
        assert!(fixed.admit("session.start", json!({ "connection": true })).is_ok());
    }

    #[test]
    fn messages_are_named_and_nothing_else_is_taken_for_one() {
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let named =
            |params| scope(None).admit("message.mark_read", params).map(|it| it.messages.len());
        assert_eq!(
            named(json!({ "messages": [{ "event_id": id }, { "event_id": id }] })).unwrap(),
            2
        );
        assert_eq!(named(json!({ "messages": { "event_id": id } })).unwrap(), 1);
        assert_eq!(named(json!({})).unwrap(), 0);
        for wrong in [json!("x"), json!([3]), json!({ "event_id": "x" })] {
            assert!(named(json!({ "messages": wrong })).is_err());
        }
    }
}
