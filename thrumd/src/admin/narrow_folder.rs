//! Names of the folders of narrow sockets: a container has its folder mounted for as long as it lives, also after the
//! socket was removed. So no other scope ever gets the same one.

use sha2::{Digest as _, Sha256};

use super::scope::Scope;

/// Of a project and of an agent: the path of a socket is short.
const PROJECT_MAX: usize = 20;
const AGENT_MAX: usize = 16;
/// Bytes that tell names apart that look alike, or whose ends do.
const HASH_BYTES: usize = 5;

/// The name of the folder of a scope.
pub(super) fn name(scope: &Scope) -> String {
    let mut name = slug(&scope.project, PROJECT_MAX);
    let mut hash = Sha256::new().chain_update(&scope.project);
    if let Some(agent) = &scope.agent {
        name = format!("{name}.{}", slug(agent, AGENT_MAX));
        // No name has this.
        hash.update([0]);
        hash.update(agent);
    }
    let hash = hash.finalize();
    let digits = hash.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}"));
    name.push('-');
    name.extend(digits);
    name
}

/// A name as a part of a path: its end, which tells most.
fn slug(name: &str, max: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let all: Vec<char> = name.chars().map(plain).collect();
    let end: String = all.iter().skip(all.len().saturating_sub(max)).collect();
    match end.trim_matches('-') {
        "" => "project".to_owned(),
        end => end.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of(project: &str, agent: Option<&str>) -> String {
        name(&Scope { project: project.to_owned(), agent: agent.map(str::to_owned) })
    }

    #[test]
    fn a_folder_is_called_as_the_end_of_the_project_and_stays_the_same() {
        assert_eq!(of("github.com/acme/App", None), "github-com-acme-app-1175340ffb");
        assert_eq!(of("app", Some("coder")), "app.coder-5b04d8f03f");
        assert!(of("\u{65e5}\u{672c}", None).starts_with("project-"));
        assert!(of("../..", Some("../x")).starts_with("project.x-"));
        let long = of(&format!("{}/x", "long/".repeat(20)), Some(&"n".repeat(60)));
        assert!(long.len() <= PROJECT_MAX + AGENT_MAX + 2 * HASH_BYTES + 2, "{long}");
    }

    #[test]
    fn no_two_scopes_have_one_folder() {
        let long = |start: &str| format!("{start}{}", "/long".repeat(20));
        let (one, other) = (long("a"), long("b"));
        let scopes = [
            ("a/b", None),
            ("a-b", None),
            ("A/b", None),
            ("a", Some("b")),
            ("a.b", None),
            ("ab", None),
            ("", Some("ab")),
            (one.as_str(), None),
            (other.as_str(), None),
            ("app", Some("coder")),
            ("app", Some("Coder")),
        ];
        let names: BTreeSet<String> = scopes.iter().map(|(of_one, it)| of(of_one, *it)).collect();
        assert_eq!(names.len(), scopes.len(), "{names:?}");
    }
}
