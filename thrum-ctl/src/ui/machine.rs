//! What `thrum doctor` says of this machine, or of one that is paired with it.

use axum::http::StatusCode;
use serde::Serialize;
use thrum_api::local::CheckState;

use super::refusal::Refusal;
use crate::cli::Global;
use crate::context::Context;
use crate::doctor::{self, CheckContext, Finding};
use crate::endpoint::Endpoints;
use crate::printer::{OutputOptions, Printer};

/// Examines machines, with what the person has chosen.
pub struct Machine {
    choices: Global,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Findings {
    findings: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    section: &'static str,
    id: String,
    status: CheckState,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    docs: String,
}

impl From<Finding> for Line {
    fn from(finding: Finding) -> Self {
        let Finding { section, check, docs, .. } = finding;
        let (id, status, message, next) = (check.id, check.state, check.message, check.next);
        Self { section: section.word(), id, status, message, next, docs }
    }
}

impl Machine {
    /// With these options of the command.
    pub const fn new(choices: Global) -> Self {
        Self { choices }
    }

    /// Checks the peer with this name or id, or this machine.
    ///
    /// # Errors
    /// When there is no such peer, and when thrumd can't be asked about it.
    pub async fn examine(
        &self,
        endpoints: &Endpoints,
        peer: Option<String>,
    ) -> Result<Findings, Refusal> {
        let folder = std::env::current_dir().unwrap_or_default();
        let (agent, project, tools) = {
            let mut printer =
                Printer::new(OutputOptions { quiet: true, ..OutputOptions::default() });
            let context = Context::new(self.choices.clone(), &mut printer);
            let tools = match peer {
                Some(_) => Vec::new(),
                None => doctor::tool_state::look(&folder, &context),
            };
            (context.agent(), context.sourced_project(), tools)
        };
        let gathering = CheckContext::gather(endpoints.clone(), agent, project, tools);
        let gathered = Box::pin(gathering).await;
        let found = match peer {
            None => Box::pin(doctor::examine_machine(&gathered)).await,
            Some(peer) => {
                let unreached = [gathered.daemon.as_ref().err(), gathered.status_error()];
                if let Some(error) = unreached.into_iter().flatten().next() {
                    return Err(error.into());
                }
                let found = Box::pin(doctor::examine_peer(&gathered, &peer)).await;
                found.ok_or_else(|| {
                    let message = "no machine with this name or id is paired with this one";
                    Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
                })?
            }
        };
        Ok(Findings { findings: found.into_iter().map(Line::from).collect() })
    }
}
