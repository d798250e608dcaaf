//! Looking at processes from outside.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Resident memory of a process, in bytes.
///
/// # Panics
/// When the process is not there.
pub fn resident_bytes(pid: u32) -> u64 {
    1024 * status_number(&format!("/proc/{pid}/status"), "VmRSS:").expect("a living process")
}

/// The most resident memory that a process has had, in bytes.
///
/// # Panics
/// When the process is not there.
pub fn peak_bytes(pid: u32) -> u64 {
    1024 * status_number(&format!("/proc/{pid}/status"), "VmHWM:").expect("a living process")
}

/// Makes the present resident memory of a process its peak. Best effort: some containers forbid it.
pub fn forget_peak(pid: u32) {
    let _forbidden = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

fn status_number(path: &str, name: &str) -> Option<u64> {
    let status = fs::read_to_string(path).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What a process has done so far.
#[derive(Debug, Clone)]
pub struct Effort {
    /// How often each thread went to sleep, which it can only do after it woke.
    sleeps: BTreeMap<String, u64>,
    /// Processor time of the threads that live.
    pub processor: Duration,
}

impl Effort {
    /// Looks at a process.
    ///
    /// # Panics
    /// When the process is not there.
    pub fn of(pid: u32) -> Self {
        let mut sleeps = BTreeMap::new();
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task")).expect("a living process").flatten() {
            let status = task.path().join("status");
            if let Some(count) =
                status_number(&status.to_string_lossy(), "voluntary_ctxt_switches:")
            {
                sleeps.insert(task.file_name().to_string_lossy().into_owned(), count);
            }
            // Its first number is time on a processor.
            let schedule = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            nanos += schedule.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        }
        Self { sleeps, processor: Duration::from_nanos(nanos) }
    }

    /// How often threads of the process woke since `earlier`.
    pub fn wakes_since(&self, earlier: &Self) -> u64 {
        let before = |thread| earlier.sleeps.get(thread).copied().unwrap_or(0);
        self.sleeps.iter().map(|(thread, count)| count.saturating_sub(before(thread))).sum()
    }
}

/// Processor time of the thread that asks.
pub fn this_thread() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// How many files a process has open.
///
/// # Panics
/// When the process is not there.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("a living process").count()
}

/// What the process list shows to everyone: arguments of every process, and the environment of
/// those whose environment we may read.
pub fn everything_public() -> String {
    let mut text = String::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        for file in ["cmdline", "environ"] {
            if let Ok(bytes) = fs::read(entry.path().join(file)) {
                text.push_str(&String::from_utf8_lossy(&bytes).replace('\0', " "));
                text.push('\n');
            }
        }
    }
    text
}

/// Whether a process runs. One that has ended and that its parent didn't ask about doesn't, even
/// though it is listed; in a container whose first process asks about none that lasts forever.
pub fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state comes after the name, which may have any character in it.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !['Z', 'X'].contains(&state))
}

/// Ends the daemon of a state directory if the test fails: for one that the client started, which
/// would outlive the test.
#[derive(Debug)]
pub struct Guard(pub PathBuf);

impl Drop for Guard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let path = self.0.join("thrumd.lock");
        // A lock that can be had is nobody's, and the number in it may be another's by now.
        let held = fs::File::open(&path).is_ok_and(|file| file.try_lock().is_err());
        let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        if let (true, Some(pid)) = (held, pid) {
            signal(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Sends a signal to a process of ours. Does nothing if it has ended.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ended = rustix::process::kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sleeps_and_wakes_is_counted() {
        // Of one thread: the time of threads that end is not counted any more.
        let script = "for n in $(seq 20000); do sleep 0.001; done";
        let mut child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        let before = Effort::of(child.id());
        crate::harness::eventually(crate::harness::SHORT, || {
            let after = Effort::of(child.id());
            let counted = after.wakes_since(&before) >= 5 && after.processor > before.processor;
            crate::harness::holds(counted, || format!("{before:?}, {after:?}"))
        });
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_ended_unnoticed_does_not_run() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        assert!(runs(pid));
        child.kill().unwrap();
        crate::harness::eventually(crate::harness::SHORT, || {
            crate::harness::holds(!runs(pid), || "it still runs".to_owned())
        });
        assert!(fs::exists(format!("/proc/{pid}")).unwrap(), "it was to be listed still");
        child.wait().unwrap();
    }
}
