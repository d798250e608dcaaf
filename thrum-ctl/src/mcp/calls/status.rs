//! `set_status`: what the session tells others of itself.

use serde_json::json;
use thrum_api::event::SessionState;
use thrum_api::local::{SessionUpdate, SessionUpdateParams};

use crate::mcp::answer::{Done, Failure, cut};
use crate::mcp::arguments::Arguments;
use crate::mcp::caller::{Caller, in_time};

/// Most bytes of a text that is repeated in the answer.
const TEXT_MAX_BYTES: usize = 500;

/// `set_status`
pub async fn set(
    caller: &Caller,
    named: Option<String>,
    arguments: &mut Arguments,
) -> Result<Done, Failure> {
    let state = state(arguments.text("state")?.as_deref())?;
    let (task, question) = (arguments.text("task")?, arguments.text("question")?);
    if state.is_none() && task.is_none() && question.is_none() {
        let message = "set_status needs one of state, task and question";
        return Err(Failure::arguments(message, "say what is to change"));
    }
    let session = in_time(caller.session(named)).await?;
    let mut client = in_time(caller.connect()).await?;
    let params = SessionUpdateParams {
        agent: caller.who.identity.agent.clone(),
        project: caller.who.identity.project.clone(),
        session: Some(session),
        state,
        task,
        question,
        branch: caller.who.branch(),
        ..SessionUpdateParams::default()
    };
    let session = in_time(client.call_again::<SessionUpdate>(&params)).await?.session;
    let mut done = Done::new();
    done.insert("state".to_owned(), json!(session.state));
    for (name, text) in [("task", &session.task), ("question", &session.question)] {
        if let Some(text) = text {
            done.insert(name.to_owned(), cut(text, TEXT_MAX_BYTES).into());
        }
    }
    Ok(done)
}

fn state(word: Option<&str>) -> Result<Option<SessionState>, Failure> {
    Ok(Some(match word {
        None => return Ok(None),
        Some("working") => SessionState::Working,
        Some("idle") => SessionState::Idle,
        Some("needs_you" | "needs-you") => SessionState::NeedsYou,
        Some(other) => {
            return Err(Failure::arguments(
                format!("{:?} is no state", cut(other, 60)),
                "working, idle or needs_you",
            ));
        }
    }))
}
