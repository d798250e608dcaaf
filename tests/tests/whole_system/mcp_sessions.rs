//! A tool with several sessions in one process, and one `thrum mcp`.

use serde_json::json;
use tests::harness::{Daemon, Mcp, SHORT, eventually, holds};
use thrum_api::local::{AgentList, AgentListParams};

use super::hooks::{answer, client};

#[test]
fn a_call_is_of_the_session_that_ran_last() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    let mut mcp = Mcp::greeted(&client, &["--tool", "opencode"], "opencode", "2025-11-25");
    let tasks = || {
        let agents = daemon.ask::<AgentList>(AgentListParams::default()).agents;
        let of_tool = agents.into_iter().filter(|agent| agent.name == "test-opencode");
        let sessions = of_tool.flat_map(|agent| agent.sessions);
        let mut tasks: Vec<_> = sessions.map(|it| (it.id, it.task.unwrap_or_default())).collect();
        tasks.sort_unstable();
        tasks
    };
    eventually(SHORT, || holds(tasks().len() == 1, || format!("{:?}", tasks())));
    for session in ["s1", "s2", "s1"] {
        let input = json!({"session_id": session, "cwd": "/", "prompt": "x"});
        answer(&client, "opencode", "session-start", &input);
        answer(&client, "opencode", "prompt", &input);
        mcp.call("set_status", json!({"task": format!("the work of {session}")}));
    }
    let task = |session: &str| (session.to_owned(), format!("the work of {session}"));
    assert_eq!(tasks(), [task("s1"), task("s2")]);
}
