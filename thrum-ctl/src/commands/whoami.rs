use serde::Serialize;
use thrum_api::DaemonId;
use thrum_api::event::SessionInfo;
use thrum_api::local::{AgentList, AgentListParams, Health};
use thrum_api::method::Empty;

use crate::context::Context;
use crate::error::Error;
use crate::format::short_id;
use crate::project::Project;
use crate::terminal::sanitize;

#[derive(Serialize)]
struct Whoami {
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    project: String,
    project_source: String,
    machine: String,
    daemon_id: DaemonId,
    /// That of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The live sessions of the agent on this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<SessionInfo>,
}

/// `thrum whoami`
pub async fn run(context: &mut Context<'_>) -> Result<(), Error> {
    let agent = context.named_agent()?;
    let Project { name: project, source } = context.sourced_project()?;
    let mut client = context.daemon().await?;
    let health = client.call::<Health>(&Empty {}).await?;
    let mut found = None;
    if let Some(name) = &agent {
        let params = AgentListParams { project: Some(project.clone()), all: true };
        let agents = client.call::<AgentList>(&params).await?.agents;
        found = agents.into_iter().find(|it| it.name == *name && it.daemon_id == health.daemon_id);
    }
    let (about, sessions) = found.map(|it| (it.about, it.sessions)).unwrap_or_default();
    let who = Whoami {
        agent,
        about,
        project,
        project_source: source,
        machine: health.name,
        daemon_id: health.daemon_id,
        session: std::env::var("THRUM_SESSION").ok().filter(|id| !id.is_empty()),
        sessions,
    };
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&who);
    }
    if printer.quiet() {
        return printer.line(&sanitize(who.agent.as_deref().unwrap_or_default()));
    }
    lines(&who).iter().try_for_each(|line| printer.text(line, "         "))
}

fn lines(who: &Whoami) -> Vec<String> {
    let agent = match (&who.agent, &who.about) {
        (Some(agent), Some(about)) => format!("{}: {}", sanitize(agent), sanitize(about)),
        (Some(agent), None) => sanitize(agent).into_owned(),
        (None, _) => "nobody yet: add --as NAME, or export THRUM_AGENT=NAME".to_owned(),
    };
    let id = short_id(&who.daemon_id.to_string());
    let mut lines = vec![
        format!("agent    {agent}"),
        format!("project  {} ({})", sanitize(&who.project), sanitize(&who.project_source)),
        format!("machine  {} ({id})", sanitize(&who.machine)),
    ];
    let own = who.session.iter().map(|id| (id.as_str(), None));
    let live = who.sessions.iter().map(|it| (it.id.as_str(), it.tool.as_deref()));
    let mut shown: Vec<&str> = Vec::new();
    for (id, tool) in live.chain(own) {
        if !shown.contains(&id) {
            shown.push(id);
            let tool = tool.map_or_else(String::new, |tool| format!(" ({})", sanitize(tool)));
            lines.push(format!("session  {}{tool}", sanitize(id)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_who_somebody_is_has_a_line() {
        let mut who = Whoami {
            agent: Some("coder".to_owned()),
            about: Some("writes\nall".to_owned()),
            project: "github.com/acme/app".to_owned(),
            project_source: "the origin is git@github.com:acme/app".to_owned(),
            machine: "my-laptop".to_owned(),
            daemon_id: DaemonId::from_bytes([0; 32]),
            session: Some("s1".to_owned()),
            sessions: Vec::new(),
        };
        insta::assert_snapshot!("whoami", lines(&who).join("\n"));
        who.agent = None;
        assert!(lines(&who)[0].contains("export THRUM_AGENT"), "{:?}", lines(&who));
    }
}
