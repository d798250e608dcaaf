//! Every metric and label that a rule or the dashboard names exists.

use std::collections::{BTreeMap, BTreeSet};

use crate::exposition::{Labels, families, family_of};
use crate::files::{of_dashboard, of_rules, table};
use crate::promql::names;
use crate::scraped::Pair;

/// What Prometheus itself and the configuration of the manual add to each target.
const OF_TARGETS: &[&str] = &["job", "instance", "sleeps"];

/// Metrics that are not thrumd's, with their labels.
const OF_OTHERS: &[(&str, &[&str])] = &[("up", &[]), ("node_textfile_mtime_seconds", &["file"])];

#[test]
fn every_name_in_the_rules_and_the_dashboard_is_in_a_live_page_of_metrics() {
    let live = families(&Pair::start().metrics);
    let mut wrong = Vec::new();
    for (place, expression) in of_rules().into_iter().chain(of_dashboard()) {
        for fault in faults(&expression, &live) {
            wrong.push(format!("{place}: {fault} in {expression}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_wrong_name_is_found() {
    let labels: Labels = [("id".to_owned(), ["disk".to_owned()].into_iter().collect())].into();
    let live = [("thrumd_problems".to_owned(), labels)].into();
    let found = |expression: &str| faults(expression, &live);
    assert_eq!(
        found("sum by (job, id) (thrumd_problems{id=\"disk\", job=\"$job\"}) > up"),
        [""; 0]
    );
    for wrong in [
        "thrumd_problem",
        "thrumd_problems{it=\"disk\"}",
        "thrumd_problems{id!~\"disk|dusk\"}",
        "sum by (it) (thrumd_problems)",
        "up and on (job, it) thrumd_problems",
    ] {
        assert_eq!(found(wrong).len(), 1, "{wrong}: {:?}", found(wrong));
    }
}

/// What an expression names that is not there.
fn faults(expression: &str, live: &BTreeMap<String, Labels>) -> Vec<String> {
    let (names, table) = (names(expression), table());
    let mut faults = Vec::new();
    let mut known: BTreeSet<&str> = OF_TARGETS.iter().copied().collect();
    for metric in &names.metrics {
        if let Some((_, labels)) = OF_OTHERS.iter().find(|(name, _)| *name == metric.name) {
            known.extend(*labels);
            continue;
        }
        let family = family_of(&metric.name, |base| live.contains_key(base));
        let Some(labels) = live.get(family) else {
            faults.push(format!("no metric {}", metric.name));
            continue;
        };
        known.extend(labels.keys().map(String::as_str));
        // Values that it has not now are in the manual, which a test of the metrics holds against the sources.
        let row = table.iter().find(|(name, ..)| name == family).map_or("", |(_, _, row)| row);
        for (label, values) in &metric.matchers {
            if OF_TARGETS.contains(&label.as_str()) {
                continue;
            }
            let Some(has) = labels.get(label) else {
                faults.push(format!("no label {label} of {}", metric.name));
                continue;
            };
            let is_known = |value: &&String| {
                let of_other =
                    |labels: &Labels| labels.get(label).is_some_and(|it| it.contains(*value));
                has.contains(*value)
                    || row.contains(&format!("`{value}`"))
                    || live.values().any(of_other)
            };
            let unknown = values.iter().filter(|value| !is_known(value));
            faults.extend(unknown.map(|value| format!("no {label} {value}")));
        }
        let is_there =
            |label: &&String| labels.contains_key(*label) || OF_TARGETS.contains(&label.as_str());
        let absent = metric.matched.iter().filter(|label| !is_there(label));
        faults.extend(absent.map(|label| format!("no label {label} of {}", metric.name)));
    }
    let grouped = names.grouped.iter().filter(|label| !known.contains(label.as_str()));
    faults.extend(grouped.map(|label| format!("no label {label}")));
    faults
}
