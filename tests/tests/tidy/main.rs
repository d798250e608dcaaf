//! The repository checks itself: what ARCHITECTURE.md and CONTRIBUTING.md say of the sources is true.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod circles;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file fits in one look. Generous, so that a good file isn't torn apart for a few lines.
const LINES_MAX: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{:?}: {e}", path.as_ref()))
}

fn sources_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no source below {folder}");
    found
}

fn all_sources() -> Vec<PathBuf> {
    ["thrum-api", "thrumd", "thrum-ctl", "tests"].into_iter().flat_map(sources_below).collect()
}

#[test]
fn a_file_fits_in_one_look() {
    let too_long: Vec<String> = all_sources()
        .iter()
        .map(|path| (path, fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{} has {lines} lines", path.display()))
        .collect();
    assert!(too_long.is_empty(), "split by idea: {too_long:#?}");
}

#[test]
fn the_decisions_of_sync_know_no_machine() {
    let hub = sources_below("thrumd/src/sync/hub");
    // Its functions wait for the log that they are handed, and for nothing else.
    let mut protocol = sources_below("thrumd/src/sync/protocol");
    // Tests in a file of their own are exempt like those at the end of a file.
    protocol.retain(|path| !path.ends_with("tests.rs"));
    for path in hub.iter().chain(&protocol) {
        let text = fs::read_to_string(path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let banned = [
            "tokio",
            "std::net",
            "std::fs",
            "std::io",
            "std::thread",
            "Instant",
            "SystemTime",
            "HashMap",
            "HashSet",
            "getrandom",
            "crate::clock",
            "crate::ids",
        ];
        let waits = hub.contains(path).then_some("async fn");
        for word in banned.into_iter().chain(waits) {
            let at = text.lines().position(|line| line.contains(word) && !is_comment(line));
            let line = at.map(|at| at + 1);
            assert_eq!(line, None, "{} names {word}; the simulation can't", path.display());
        }
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Dependencies between modules go one way: a module may only use those after it.
#[test]
fn modules_use_only_those_below_them() {
    let modules = [
        "service", "admin", "rpc", "policy", "sync", "backup", "agents", "peer", "tailnet",
        "config", "log", "metrics",
    ];
    for (layer, module) in modules.iter().enumerate() {
        for path in sources_below(&format!("thrumd/src/{module}")).iter().filter(|p| !is_test(p)) {
            let text = fs::read_to_string(path).unwrap();
            for above in &modules[..layer] {
                let uses = text
                    .lines()
                    .any(|line| !is_comment(line) && line.contains(&format!("crate::{above}::")));
                assert!(!uses, "{} uses {above}, which is above {module}", path.display());
            }
        }
    }
}

/// Tests of a module may use the whole program.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"))
}

/// Parts of which the circles are still to be opened.
const CIRCLES: &[&str] = &["thrumd/src/sync/"];

/// A child that needs what its parent defines, while the parent needs the child, can't be read alone.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for source in ["thrum-api/src", "thrumd/src", "thrum-ctl/src", "tests/src"] {
        for circle in circles::circles(&root().join(source)) {
            let lines =
                circle.iter().map(|line| line.replace(&format!("{}/", root().display()), ""));
            let lines: Vec<_> = lines.collect();
            if !CIRCLES.iter().any(|part| lines.iter().all(|line| line.starts_with(part))) {
                found.push(lines.join("\n"));
            }
        }
    }
    assert!(found.is_empty(), "{} circles:\n\n{}", found.len(), found.join("\n\n"));
}

#[test]
fn every_method_of_peers_is_in_the_protocol() {
    let text = read("docs/protocol.md");
    for method in thrum_api::peer::ALL {
        assert!(text.contains(&format!("`{}`", method.name)), "{} is missing", method.name);
    }
    for (code, word) in thrum_api::ErrorCode::ALL.iter().filter(|(code, _)| code.0 > -32020) {
        assert!(text.contains(&format!("| {} |", code.0)), "{} ({word}) is missing", code.0);
    }
}

#[test]
fn every_test_that_the_architecture_names_is_there() {
    let mut names = BTreeSet::new();
    let mut modules = BTreeSet::new();
    for path in all_sources() {
        modules.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
        modules.extend(
            path.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned()),
        );
        for line in fs::read_to_string(&path).unwrap().lines() {
            let name = line.trim().trim_start_matches("async ").strip_prefix("fn ");
            names.extend(name.and_then(|rest| rest.split('(').next()).map(str::to_owned));
        }
    }
    let text = read("ARCHITECTURE.md");
    let (_, invariants) = text.split_once("## Invariants").unwrap();
    let guards: Vec<&str> = invariants
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with(" |"))
        .filter_map(|line| line.rsplit('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(guards.len() > 20, "the table of invariants was not found");
    for guard in guards {
        let last = guard.rsplit("::").next().unwrap();
        assert!(names.contains(last) || modules.contains(last), "{guard} is no test");
    }
}

/// reqwest takes proxies from the environment by itself. Our HTTP never leaves this machine, and carries secrets.
#[test]
fn no_http_client_uses_a_proxy() {
    for path in ["thrumd/src", "thrum-ctl/src"].into_iter().flat_map(sources_below) {
        let text = fs::read_to_string(&path).unwrap();
        let made =
            text.matches("Client::builder()").count() + text.matches("Client::new()").count();
        let without = text.matches(".no_proxy()").count();
        assert!(!text.contains("reqwest") || made == without, "{}: add no_proxy()", path.display());
    }
}

#[test]
fn every_message_that_the_operations_page_quotes_is_in_the_sources() {
    let mut sources = String::new();
    for path in ["thrumd/src", "thrum-ctl/src", "thrum-api/src"].into_iter().flat_map(sources_below)
    {
        for line in fs::read_to_string(path).unwrap().lines() {
            // A text that goes on in the next line.
            let line = line.trim_start();
            sources += line.strip_suffix('\\').unwrap_or(line);
            if !line.ends_with('\\') {
                sources.push('\n');
            }
        }
    }
    let page = read("docs/operations.md");
    let (_, table) = page.split_once("## Troubleshooting by message").unwrap();
    let quoted: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(message, _)| message)
        .collect();
    assert!(quoted.len() > 10, "{quoted:?}");
    for part in quoted.iter().flat_map(|message| message.split("...")).map(str::trim) {
        assert!(part.len() < 4 || sources.contains(part), "no program says {part:?}");
    }
}

/// A link that leads nowhere stops a new reader.
#[test]
fn links_between_documents_lead_somewhere() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/protocol.md",
        "docs/operations.md",
        "docs/security.md",
    ] {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            let leads = file.is_empty() || file.starts_with("http") || folder.join(file).exists();
            assert!(leads, "{document} links to {target}, which is not there");
        }
    }
}
