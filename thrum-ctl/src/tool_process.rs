//! Which process is the tool that started this one. `thrum hook` and `thrum mcp` find the same one: it is the session.

use std::collections::BTreeMap;

use crate::setup::Tool;

/// What may stand between a tool and the program that it runs: shells, and programs that run another one. Each ends with
/// what it runs, so that none of them is a session.
const BETWEEN: [&str; 16] = [
    "ash", "bash", "busybox", "dash", "env", "fish", "ksh", "mksh", "nice", "nohup", "sh",
    "stdbuf", "thrum", "timeout", "xargs", "zsh",
];
/// Most steps up. More than anything real has.
const STEPS_MAX: usize = 32;
/// The variable in which Claude Code tells hooks its process.
const CLAUDE_PID: &str = "CLAUDE_PID";

/// A process, as its child sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    parent: u32,
    name: String,
}

/// The process of this tool that started this program. None if there are only shells: then a script or a person did.
pub fn find(tool: Tool) -> Option<u32> {
    // A tool that runs inside of another one inherits the variables of that one.
    let named = match tool {
        Tool::ClaudeCode => std::env::var(CLAUDE_PID).ok().and_then(|pid| pid.parse().ok()),
        _ => None,
    };
    choose(named, std::os::unix::process::parent_id(), &processes())
}

/// The names of the program that runs this one, however many shells are between. An interpreter has that of its script, too.
pub fn program_above() -> Vec<String> {
    let look = processes();
    let Some(pid) = choose(None, std::os::unix::process::parent_id(), &look) else {
        return Vec::new();
    };
    let name = look(pid).map(|process| base_name(&process.name).to_owned());
    name.into_iter().chain(first_words(pid)).collect()
}

/// What the first two words of a process's command line name: an interpreter and its script.
fn first_words(pid: u32) -> Vec<String> {
    // Only Linux has it. On others the names of processes and the variables of the tools have to do.
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).take(2).map(String::from_utf8_lossy);
    words.map(|word| base_name(&word).to_owned()).filter(|word| !word.is_empty()).collect()
}

/// The process that is named, if it is one above; else the lowest one above that is no shell.
fn choose(named: Option<u32>, parent: u32, look: &dyn Fn(u32) -> Option<Process>) -> Option<u32> {
    let mut lowest = None;
    let mut pid = parent;
    for _ in 0..STEPS_MAX {
        let Some(process) = look(pid) else { break };
        if lowest.is_none() && !is_between(&process.name) {
            lowest = Some(pid);
        }
        if named == Some(pid) || (lowest.is_some() && named.is_none()) {
            return Some(pid);
        }
        pid = process.parent;
    }
    lowest
}

fn is_between(name: &str) -> bool {
    BETWEEN.contains(&base_name(name))
}

/// macOS tells the path, and a login shell has a dash before its name.
fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name).trim_start_matches('-')
}

/// How to look at a process.
#[cfg(target_os = "linux")]
fn processes() -> impl Fn(u32) -> Option<Process> {
    |pid| of_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// How to look at a process, by one list of all of them: each call of `ps` costs milliseconds.
#[cfg(not(target_os = "linux"))]
fn processes() -> impl Fn(u32) -> Option<Process> {
    let list = std::process::Command::new("/bin/ps")
        .args(["-A", "-o", "pid=,ppid=,comm="])
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .output();
    let list = list.map(|output| of_list(&String::from_utf8_lossy(&output.stdout)));
    let list = list.unwrap_or_default();
    move |pid| list.get(&pid).cloned()
}

/// Reads `/proc/PID/stat`. The name is in parentheses and may have any character.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "its test runs everywhere"))]
fn of_stat(text: &str) -> Option<Process> {
    let (before, after) = text.rsplit_once(") ")?;
    let (_, name) = before.split_once(" (")?;
    let parent = after.split(' ').nth(1)?.parse().ok()?;
    Some(Process { parent, name: name.to_owned() })
}

/// Reads what `ps -A -o pid=,ppid=,comm=` prints.
#[cfg_attr(target_os = "linux", allow(dead_code, reason = "its test runs everywhere"))]
fn of_list(text: &str) -> BTreeMap<u32, Process> {
    let line = |line: &str| {
        let (pid, rest) = line.trim_start().split_once(' ')?;
        let (parent, name) = rest.trim_start().split_once(' ')?;
        let name = name.trim().to_owned();
        Some((pid.parse().ok()?, Process { parent: parent.parse().ok()?, name }))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PS: &str = "    1     0 /sbin/launchd\n  100     1 -zsh\n  200   100 /opt/my tools/claude\n\
                      \x20 300   200 /bin/sh\n  400   300 timeout\n  500   200 node\n  600 500 bash\n";

    fn chosen(named: Option<u32>, parent: u32) -> Option<u32> {
        let list = of_list(PS);
        choose(named, parent, &|pid| list.get(&pid).cloned())
    }

    #[test]
    fn the_tool_is_the_lowest_process_that_is_no_shell() {
        assert_eq!(of_list(PS).len(), 7);
        assert_eq!(chosen(None, 200), Some(200), "started without a shell");
        assert_eq!(chosen(None, 400), Some(200), "by a wrapper and a shell");
        assert_eq!(chosen(None, 600), Some(500));
        assert_eq!(chosen(None, 100), Some(1), "a person's shell");
        assert_eq!(chosen(None, 7777), None);
    }

    #[test]
    fn a_named_process_counts_if_it_is_above() {
        assert_eq!(chosen(Some(200), 600), Some(200), "not the one between");
        assert_eq!(chosen(Some(500), 400), Some(200), "that of another tool");
    }

    #[test]
    fn processes_that_go_in_a_circle_end() {
        let circle = |pid| Some(Process { parent: pid, name: "sh".to_owned() });
        assert_eq!(choose(None, 5, &circle), None);
    }

    #[test]
    fn the_name_of_a_process_may_look_like_anything() {
        let read = of_stat("42 (a) R 7 (sh) S 41 42 42 0 -1\n");
        assert_eq!(read, Some(Process { parent: 41, name: "a) R 7 (sh".to_owned() }));
        assert_eq!(of_stat(""), None);
        let own = processes()(std::process::id()).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
    }
}
