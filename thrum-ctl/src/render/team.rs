//! The agents of a project and what they do.

use anstyle::Style;
use thrum_api::Timestamp;
use thrum_api::event::{Reach, SessionInfo, SessionState};
use thrum_api::local::{Agent, AgentState};

use super::table::Table;
use crate::format::{age, short_id};
use crate::printer::{BOLD, DIM, YELLOW, styled};
use crate::terminal::sanitize;

/// The column that gives way in a narrow terminal, and the least that has to be left of it.
const ON: usize = 3;
const ON_LEAST: usize = 16;

/// The order for people: whoever needs them comes first.
pub fn sort(agents: &mut [Agent]) {
    agents.sort_by(|one, other| order(one).cmp(&order(other)));
}

fn order(agent: &Agent) -> (bool, AgentState, &str, &str, Option<&str>) {
    let machine = agent.machine.as_deref().unwrap_or_default();
    (agent.removed, agent.state, &agent.name, machine, agent.project.as_deref())
}

/// The agents in a table, or, if that does not fit into the columns of the terminal, as a block each.
pub fn lines(
    agents: &[Agent],
    now: Timestamp,
    columns: Option<usize>,
    with_project: bool,
) -> Vec<String> {
    let mut headings = vec!["AGENT", "MACHINE", "STATE", "ON", "SINCE"];
    if with_project {
        headings.push("PROJECT");
    }
    let mut table = Table::new(&headings);
    for agent in agents {
        let mut cells = vec![
            agent.name.clone(),
            machine(agent),
            state(agent).to_owned(),
            on(agent),
            age(agent.since, now),
        ];
        if with_project {
            cells.push(agent.project.clone().unwrap_or_default());
        }
        match style(agent.state) {
            Some(style) => table.styled_row(cells, style),
            None => table.row(cells),
        }
    }
    let table = match columns {
        Some(columns) => table.fitted(ON, columns, ON_LEAST),
        None => Some(table),
    };
    match table {
        Some(table) => table.lines(),
        None => agents.iter().flat_map(|agent| block(agent, now, with_project)).collect(),
    }
}

/// What the agents are for, and how messages get to their idle sessions, of those of which it is known.
pub fn purposes(agents: &[Agent]) -> Vec<String> {
    let purpose = |agent: &Agent| {
        let about = agent.about.as_deref().filter(|about| !about.is_empty());
        let about = about.map(|about| sanitize(about).into_owned());
        let told = [about, reach(agent).map(str::to_owned)];
        let told: Vec<_> = told.into_iter().flatten().collect();
        let name = styled(BOLD, &sanitize(&agent.name));
        (!told.is_empty())
            .then(|| format!("{name} on {}: {}", sanitize(&machine(agent)), told.join("; ")))
    };
    agents.iter().filter_map(purpose).collect()
}

/// The best way in which a message gets to an idle session of the agent.
fn reach(agent: &Agent) -> Option<&'static str> {
    let best = agent.sessions.iter().filter_map(|session| session.reach).min()?;
    match best {
        Reach::Wake => Some("messages wake it"),
        Reach::Hooks => Some("it sees messages at its next prompt or step"),
        Reach::Other => None,
    }
}

fn block(agent: &Agent, now: Timestamp, with_project: bool) -> Vec<String> {
    let state = match style(agent.state) {
        Some(style) => styled(style, state(agent)),
        None => state(agent).to_owned(),
    };
    let mut lines = vec![format!("{} {state}", styled(BOLD, &sanitize(&agent.name)))];
    let on = on(agent);
    if on != "-" {
        lines.push(format!("  {}", sanitize(&on)));
    }
    let project = match &agent.project {
        Some(project) if with_project => format!(" in {}", sanitize(project)),
        _ => String::new(),
    };
    lines.push(format!("  {}{project}, {}", sanitize(&machine(agent)), age(agent.since, now)));
    lines
}

/// The word for what an agent does.
pub const fn state(agent: &Agent) -> &'static str {
    if agent.removed {
        return "removed";
    }
    match agent.state {
        AgentState::NeedsYou => "needs you",
        AgentState::Working => "working",
        AgentState::Waiting => "waiting",
        AgentState::Idle => "idle",
        AgentState::Unreachable => "unreachable",
        AgentState::Gone => "gone",
    }
}

const fn style(state: AgentState) -> Option<Style> {
    match state {
        AgentState::NeedsYou => Some(YELLOW),
        AgentState::Unreachable | AgentState::Gone => Some(DIM),
        AgentState::Working | AgentState::Waiting | AgentState::Idle => None,
    }
}

fn machine(agent: &Agent) -> String {
    let id = short_id(&agent.daemon_id.to_string());
    match &agent.machine {
        Some(machine) if agent.former => format!("{machine} before ({id})"),
        Some(machine) => machine.clone(),
        None => id,
    }
}

/// What the session works on that decides the agent's state, or its question.
fn on(agent: &Agent) -> String {
    let decides = |session: &&SessionInfo| {
        AgentState::of(std::slice::from_ref(*session)) == AgentState::of(&agent.sessions)
    };
    let Some(session) = agent.sessions.iter().find(decides) else { return "-".to_owned() };
    let question = session.question.as_ref().filter(|_| session.state == SessionState::NeedsYou);
    let mut text = question.or(session.task.as_ref()).map_or("-", String::as_str).to_owned();
    if let Some(branch) = &session.branch {
        text.push_str(&format!(" ({branch})"));
    }
    let more = agent.sessions.len() - 1;
    if more > 0 {
        text.push_str(&format!(", {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::{Value, json};

    use super::*;

    fn agent(name: &str, machine: &str, state: &str, ago_s: i64, sessions: Value) -> Agent {
        let since = Timestamp::from_millis(1_000_000_000 - ago_s * 1000).to_string();
        let mut sessions = sessions;
        for session in sessions.as_array_mut().unwrap() {
            session["id"] = json!("s1");
            session["since"] = json!(since);
        }
        serde_json::from_value(json!({
            "name": name, "machine": machine, "state": state, "project": "app",
            "daemon_id": "d_01K0000000000000000000000000000000000000000000000000",
            "since": since, "last_seen": since, "sessions": sessions,
        }))
        .unwrap()
    }

    fn team() -> Vec<Agent> {
        let mut agents = vec![
            agent(
                "backend",
                "my-laptop",
                "working",
                12,
                json!([
                    {"state": "idle"},
                    {"state": "working", "task": "fix auth race", "branch": "auth-fix"},
                ]),
            ),
            agent("nightly", "ci-runner-7", "gone", 90_000, json!([])),
            agent(
                "far",
                "office-server",
                "unreachable",
                300,
                json!([
                    {"state": "working", "task": "reindex\u{1b}[2J everything that there is in the store"},
                ]),
            ),
            agent("reviewer", "office-server", "waiting", 120, json!([{"state": "waiting"}])),
            agent(
                "tester",
                "gpu-box",
                "needs_you",
                240,
                json!([
                    {"state": "needs_you", "task": "release", "question": "may I push to main?"},
                ]),
            ),
            agent("idler", "gpu-box", "idle", 10_800, json!([{"state": "other"}])),
        ];
        let mut old = agent("aged", "gpu-box", "gone", 500_000, json!([]));
        (old.removed, old.former) = (true, true);
        agents.push(old);
        sort(&mut agents);
        agents
    }

    fn shown(columns: Option<usize>, with_project: bool) -> String {
        let now = Timestamp::from_millis(1_000_000_000);
        let lines = lines(&team(), now, columns, with_project);
        lines.iter().map(|line| strip_str(line).to_string()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn whoever_needs_a_person_comes_first() {
        insta::assert_snapshot!("team", shown(None, false));
    }

    #[test]
    fn a_terminal_of_80_columns_cuts_what_agents_work_on() {
        let text = shown(Some(80), false);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!("team_80", text);
    }

    #[test]
    fn a_narrow_terminal_shows_a_block_for_each_agent() {
        insta::assert_snapshot!("team_20", shown(Some(20), true));
    }

    #[test]
    fn what_an_agent_is_for_is_on_a_line_of_its_own() {
        let mut agents = team();
        agents[0].about = Some("reads\u{1b}[2J changes".to_owned());
        let backend = agents.iter_mut().find(|agent| agent.name == "backend").unwrap();
        backend.about = Some("writes".to_owned());
        backend.sessions[0].reach = Some(Reach::Hooks);
        backend.sessions[1].reach = Some(Reach::Wake);
        let idler = agents.iter_mut().find(|agent| agent.name == "idler").unwrap();
        idler.sessions[0].reach = Some(Reach::Hooks);
        let lines: Vec<String> =
            purposes(&agents).iter().map(|line| strip_str(line).to_string()).collect();
        assert_eq!(
            lines,
            [
                "tester on gpu-box: reads\\u{1b}[2J changes",
                "backend on my-laptop: writes; messages wake it",
                "idler on gpu-box: it sees messages at its next prompt or step",
            ]
        );
    }
}
