use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn read_at(input: &Value, tool: Tool, point: Point) -> Input {
    Input::read_beside(input.to_string().as_bytes(), tool, point, None).unwrap()
}

fn work(input: &Value, point: Point) -> bool {
    let mut whole = json!({"session_id": "s"});
    for (key, value) in input.as_object().unwrap() {
        whole[key] = value.clone();
    }
    read_at(&whole, Tool::ClaudeCode, point).work
}

#[test]
fn what_each_tool_writes_is_understood() {
    let cases = [
        (
            Tool::ClaudeCode,
            Point::Step,
            json!({"session_id": "s", "transcript_path": "/t.jsonl", "cwd": "/app", "permission_mode": "default",
                "effort": {"level": "high"}, "hook_event_name": "PostToolBatch", "prompt_id": "p",
                "tool_calls": [{"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "t", "tool_response": "x"}]}),
            Some("PostToolBatch"),
        ),
        (
            Tool::Codex,
            Point::Step,
            json!({"session_id": "s", "turn_id": "t", "cwd": "/app", "model": "m", "hook_event_name": "PostToolUse",
                "tool_name": "exec_command", "tool_input": {"cmd": "ls"}, "tool_use_id": "t"}),
            Some("PostToolUse"),
        ),
        (
            Tool::Gemini,
            Point::Step,
            json!({"session_id": "s", "cwd": "/app", "hook_event_name": "AfterTool", "timestamp": "t",
                "tool_name": "run_shell_command", "tool_input": {"command": "ls"}}),
            Some("AfterTool"),
        ),
        (
            Tool::Copilot,
            Point::Step,
            json!({"sessionId": "s", "timestamp": 1, "cwd": "/app", "toolName": "bash", "toolArgs": "{\"command\":\"ls\"}"}),
            None,
        ),
        (
            Tool::Copilot,
            Point::Step,
            json!({"session_id": "s", "cwd": "/app", "hook_event_name": "PostToolUse", "tool_name": "bash", "tool_input": {}}),
            Some("PostToolUse"),
        ),
        (
            Tool::Cursor,
            Point::Step,
            json!({"conversation_id": "s", "generation_id": "g", "hook_event_name": "postToolUse", "cursor_version": "3.7",
                "workspace_roots": ["/app", "/b"], "tool_name": "Shell", "tool_input": {"command": "ls"}}),
            Some("postToolUse"),
        ),
        (
            Tool::Opencode,
            Point::Step,
            json!({"session_id": "s", "cwd": "/app", "tool": "bash"}),
            None,
        ),
    ];
    for (tool, point, input, event) in cases {
        let read = read_at(&input, tool, point);
        let expected = Input {
            tool,
            session: "s".to_owned(),
            folder: Some(PathBuf::from("/app")),
            event: event.map(str::to_owned),
            work: true,
            is_subagent: false,
            is_complete: true,
            ended: false,
        };
        assert_eq!(read, expected, "{input}");
    }
}

#[test]
fn a_tool_that_took_over_the_hooks_of_another_is_known() {
    let (claude, stop) = (Tool::ClaudeCode, Point::Stop);
    for (input, tool) in [
        (json!({"session_id": "s", "hook_event_name": "AfterAgent"}), Tool::Gemini),
        (json!({"conversation_id": "s", "cursor_version": "1"}), Tool::Cursor),
        (json!({"sessionId": "s"}), Tool::Copilot),
        (json!({"session_id": "s", "turn_id": "t", "hook_event_name": "Stop"}), Tool::Codex),
        (json!({"session_id": "s", "prompt_id": "t", "hook_event_name": "Stop"}), claude),
    ] {
        assert_eq!(read_at(&input, claude, stop).tool, tool, "{input}");
    }
    let claudes = json!({"session_id": "s", "prompt_id": "p"});
    assert_eq!(read_at(&claudes, Tool::Codex, stop).tool, claude);
    let start = json!({"session_id": "s", "hook_event_name": "SessionStart"}).to_string();
    let beside = |gemini| {
        Input::read_beside(start.as_bytes(), claude, Point::SessionStart, gemini).unwrap().tool
    };
    assert_eq!(
        (beside(Some("s")), beside(Some("other")), beside(None)),
        (Tool::Gemini, claude, claude)
    );
}

#[test]
fn work_is_what_a_person_wrote_and_what_tools_did_but_messages() {
    let prompt = |text: &str| work(&json!({ "prompt": text }), Point::Prompt);
    assert!(prompt("fix it") && work(&json!({}), Point::Prompt));
    assert!(!prompt("[thrum] 1 new message for b") && !prompt("<task-notification>\n"));
    assert!(!work(&json!({"prompt": "fix it"}), Point::Stop));
    let named = |name: &str| work(&json!({ "tool_name": name }), Point::Step);
    for name in [
        "mcp__thrum__send_message",
        "mcp_thrum_reply_message",
        "thrum-send_message",
        "thrum_x",
        "ToolSearch",
    ] {
        assert!(!named(name), "{name}");
    }
    assert!(named("Edit") && named("mcp__other__thrum_x"));
    let ran = |command: Value| {
        work(&json!({"tool_name": "Bash", "tool_input": {"command": command}}), Point::Step)
    };
    assert!(!ran(json!(" thrum send a b")) && !ran(json!(["thrum", "send"])));
    assert!(!ran(json!(["bash", "-lc", "thrum reply 7 x"])));
    assert!(ran(json!("thrummer")) && ran(json!("make")) && ran(json!(["bash", "-lc", "make"])));
    for talk in [
        "cd repo && thrum reply 7 x",
        "cd /a; cd b && THRUM_AGENT=x thrum reply 7 x",
        "THRUM_AGENT='a b' X=\"c d\" /usr/bin/thrum reply 7 x",
        "thrum",
    ] {
        assert!(!ran(json!(talk)), "{talk}");
    }
    for other in
        ["cd thrum", "cd a && make", "X=thrum make", "X='a thrum ", "a=b", "", "'thrum reply' x"]
    {
        assert!(ran(json!(other)), "{other}");
    }
    let batch = |names: &[&str]| {
        let calls: Vec<_> = names.iter().map(|name| json!({ "tool_name": name })).collect();
        work(&json!({ "tool_calls": calls }), Point::Step)
    };
    assert!(batch(&["mcp__thrum__x", "Read"]) && !batch(&["mcp__thrum__x", "ToolSearch"]));
    assert!(!batch(&[]) && !work(&json!({}), Point::Step), "nothing that is known");
}

#[test]
fn subagents_and_turns_that_were_broken_off_are_told() {
    let read = |input| read_at(&input, Tool::Cursor, Point::Stop);
    assert!(read(json!({"session_id": "s", "agent_id": "a"})).is_subagent);
    assert!(read(json!({"session_id": "s", "parent_id": "a"})).is_subagent);
    assert!(!read(json!({"session_id": "s", "agent_id": null})).is_subagent);
    assert!(read(json!({"session_id": "s", "status": "completed"})).is_complete);
    let aborted = json!({"session_id": "s", "status": "aborted"});
    assert!(!read(aborted.clone()).is_complete);
    for point in [Point::SessionStart, Point::Prompt, Point::Step, Point::SessionEnd] {
        assert!(read_at(&aborted, Tool::Cursor, point).is_complete, "a word for something else");
    }
}

#[test]
fn fields_of_other_types_count_as_absent_and_others_are_nothing() {
    let odd = json!({"session_id": ["x"], "sessionId": "s", "cwd": 3, "hook_event_name": {"a": 1}, "prompt": 7,
        "tool_calls": {}, "tool_name": [], "new": {"deep": [[[1]]]}});
    let read = read_at(&odd, Tool::Copilot, Point::Step);
    assert_eq!(
        (read.session.as_str(), read.folder, read.event, read.work),
        ("s", None, None, false)
    );
    let named = |name: &str| {
        let input = json!({"session_id": "s", "cwd": "a/b", "hook_event_name": name});
        read_at(&input, Tool::Codex, Point::Stop).event
    };
    assert_eq!(
        (named("Stop").as_deref(), named("a b"), named(&"x".repeat(65))),
        (Some("Stop"), None, None)
    );
    let read = |bytes: &[u8]| Input::read_beside(bytes, Tool::Codex, Point::Stop, None);
    assert_eq!(read(b"{}"), Err(Unusable::NoSession));
    for garbage in
        [&b""[..], b"null", b"[\"s\"]", b"\"s\"", b"{", b"{\"session_id\": \"\xff\"}", b"{}x"]
    {
        assert!(matches!(read(garbage), Err(Unusable::NotAnObject(_))), "{garbage:?}");
    }
    let marked = read(b"\xef\xbb\xbf {\"session_id\": \"s\", \"cwd\": \"/a b\"}\r\n").unwrap();
    assert_eq!(marked.folder.as_deref(), Some(Path::new("/a b")));
}
