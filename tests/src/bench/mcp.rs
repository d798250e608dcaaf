use std::time::{Duration, Instant};

use serde_json::json;

use super::appends::alone;
use super::figure::{Figure, Target};
use super::sample::{Sample, mebibytes, tell, words};
use super::size::Size;
use crate::harness::{Client, Mcp, process};

/// What most tools speak.
const REVISION: &str = "2025-11-25";

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let count = size.of(100);
    let daemon = alone();
    let client = Client::new(&daemon).env("THRUM_AGENT", "coder");
    tell(&format!("mcp: thrum mcp until its first answer, {count} times"));
    let mut first = Sample::default();
    for _ in 0..count {
        let begin = Instant::now();
        let mut mcp = greeted(&client);
        first.push(begin.elapsed());
        mcp.close();
        mcp.ended();
    }
    vec![
        Figure::new(
            "mcp_start",
            "thrum mcp from its start to its first answer",
            (first.median() * 1e3, "ms"),
            Target::AtMost(30.0),
            format!("{} for one in ten", words(first.quantile(0.9))),
        ),
        memory(&client),
    ]
}

/// What a session keeps in memory while it waits, after each tool was used.
fn memory(client: &Client) -> Figure {
    tell("mcp: memory of a session that waits");
    let mut mcp = greeted(client);
    mcp.ask("tools/list", json!({}));
    for number in 0..50 {
        mcp.call("send_message", json!({"to": "coder", "text": format!("message {number}")}));
        mcp.call("check_messages", json!({}));
        mcp.call("list_agents", json!({}));
        mcp.call("set_status", json!({"state": "working"}));
    }
    mcp.begin("wait_for_message", json!({"timeout_s": 1500}));
    std::thread::sleep(Duration::from_millis(500));
    let resident = mebibytes(process::resident_bytes(mcp.pid()));
    Figure::new(
        "mcp_memory",
        "resident memory of thrum mcp, while it waits",
        (resident, "MiB"),
        Target::AtMost(8.0),
        format!("{:.1} MiB at most so far", mebibytes(process::peak_bytes(mcp.pid()))),
    )
}

fn greeted(client: &Client) -> Mcp {
    Mcp::greeted(client, &["--tool", "claude-code"], "claude-code", REVISION)
}
