//! The files under test, and Prometheus's programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::harness::skip;

/// Where an expression stands, for messages, and the expression.
pub type Expression = (String, String);

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub const RULES: &str = "packaging/monitoring/thrum.rules.yml";

/// `prometheus` or `promtool`. None if this machine can't have it, which is told.
pub fn program(name: &str) -> Option<PathBuf> {
    let output = Command::new(root().join("tests/monitoring/prometheus")).output().unwrap();
    if !output.status.success() {
        skip(String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    let folder = String::from_utf8(output.stdout).unwrap();
    Some(Path::new(folder.trim()).join(name))
}

/// Each rule: its alert, and its lines.
pub fn rules() -> Vec<(String, String)> {
    let text = read(RULES);
    let rules: Vec<_> = text
        .split("      - alert: ")
        .skip(1)
        .map(|rule| {
            let (alert, _) = rule.split_once('\n').unwrap();
            (alert.to_owned(), rule.to_owned())
        })
        .collect();
    assert!(rules.len() > 20, "rules are read by how they are indented: {}", rules.len());
    rules
}

/// The expressions of the rules.
pub fn of_rules() -> Vec<Expression> {
    let expression = |rule: &str| {
        let (_, rest) = rule.split_once("expr: ").unwrap();
        match rest.strip_prefix("|\n") {
            Some(block) => block_of(block),
            None => rest.lines().next().unwrap().to_owned(),
        }
    };
    rules().into_iter().map(|(alert, rule)| (alert, expression(&rule))).collect()
}

/// The lines of a block scalar, which are indented by ten.
fn block_of(text: &str) -> String {
    let lines: Vec<_> = text.lines().map_while(|line| line.strip_prefix("          ")).collect();
    lines.join(" ")
}

/// The expressions of the dashboard.
pub fn of_dashboard() -> Vec<Expression> {
    let board: Value =
        serde_json::from_str(&read("packaging/monitoring/thrum-dashboard.json")).unwrap();
    let mut found = Vec::new();
    collect(&board, "the dashboard", &mut found);
    assert!(found.len() > 30, "{found:?}");
    found
}

fn collect(value: &Value, within: &str, found: &mut Vec<Expression>) {
    match value {
        Value::Object(members) => {
            let title = members.get("title").and_then(Value::as_str).unwrap_or(within);
            if let Some(expression) = members.get("expr").and_then(Value::as_str) {
                found.push((title.to_owned(), expression.to_owned()));
            }
            members.values().for_each(|member| collect(member, title, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, within, found)),
        _ => {}
    }
}

/// The rows of the table of families: names, labels, and all text.
pub fn table() -> Vec<(String, Vec<String>, String)> {
    let manual = read("docs/monitoring.md");
    let rows: Vec<_> = manual
        .lines()
        .filter_map(|line| {
            let cells: Vec<_> = line.strip_prefix("| `")?.split('|').collect();
            let name = cells[0].trim().strip_suffix('`')?.to_owned();
            let is_family = name.starts_with("thrumd_") || name.starts_with("process_");
            let labels = cells.get(2)?.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            is_family.then(|| (name, labels, line.to_owned()))
        })
        .collect();
    assert!(rows.len() > 30, "{rows:?}");
    rows
}
