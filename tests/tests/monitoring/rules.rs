//! The rules as promtool sees them, and whether each has what belongs to it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::files::{self, program, read, root, rules};
use crate::scraped::Pair;

#[track_caller]
fn promtool(words: &[&str], stdin: &str) -> Option<String> {
    let mut command = Command::new(program("promtool")?);
    command.args(words).current_dir(root().join("packaging/monitoring"));
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "promtool {words:?}: {said}");
    Some(said)
}

#[test]
fn promtool_accepts_the_rules_and_each_fires_when_it_should() {
    promtool(&["check", "rules", "--lint-fatal", "thrum.rules.yml"], "");
    promtool(&["test", "rules", "thrum.rules.test.yml"], "");
}

#[test]
fn promtool_has_nothing_to_say_of_the_metrics() {
    let pair = Pair::start();
    if let Some(said) = promtool(&["check", "metrics"], &pair.metrics) {
        assert_eq!(said, "", "promtool's advice");
    }
}

#[test]
fn each_alert_has_its_tests_and_its_section_in_the_manual() {
    let tested = read("packaging/monitoring/thrum.rules.test.yml");
    let manual = read("docs/monitoring.md");
    for (alert, rule) in rules() {
        let fires = format!("        alertname: {alert}\n");
        let is_quiet = format!("alertname: {alert}, exp_alerts: []");
        assert!(tested.contains(&fires), "no test lets {alert} fire");
        assert!(tested.contains(&is_quiet), "no test has {alert} quiet");
        assert!(manual.contains(&format!("\n### {alert}\n")), "the manual lacks {alert}");
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{alert} has no {part}");
        }
        let page = "runbook_url: https://github.com/thrum-dev/thrum/blob/main/docs/monitoring.md";
        let runbook = format!("{page}#{}\n", alert.to_lowercase());
        assert!(rule.contains(&runbook), "{alert}: its runbook is not {runbook}");
    }
    let alerts = rules();
    let section = manual.split_once("\n## Alerts\n").unwrap().1.split("\n## ").next().unwrap();
    for title in section.lines().filter_map(|line| line.strip_prefix("### ")) {
        let is_one = alerts.iter().any(|(alert, _)| alert == title);
        assert!(is_one, "the manual has {title}, which is no alert");
    }
}

#[test]
fn the_dashboard_has_a_fixed_uid_and_asks_for_its_data_source() {
    let text = read("packaging/monitoring/thrum-dashboard.json");
    let board: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&board["uid"], &board["title"]), (&"thrum".into(), &"Thrum".into()));
    assert_eq!(board["id"], serde_json::Value::Null, "an id belongs to one Grafana");
    assert_eq!(board["templating"]["list"][0]["type"], "datasource");
    let sources = text.matches("\"uid\": \"${datasource}\"").count();
    // Each panel and each query has one.
    assert!(sources > files::of_dashboard().len(), "{sources}");
    let ids: Vec<_> = board["panels"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    let mut once = ids.clone();
    once.sort_by_key(|id| id.as_u64());
    once.dedup();
    assert_eq!(once.len(), ids.len(), "two panels have one id");
}
