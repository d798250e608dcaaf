//! Figures of this process, as every client of Prometheus tells them.

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Figures of this process. None where the system does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessFigures {
    /// Processor time used, in seconds.
    pub cpu_seconds: f64,
    /// Bytes of memory in use.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
    /// How many may be open; None: any number.
    pub max_files: Option<u64>,
}

impl ProcessFigures {
    /// Those of now. Reads `/proc`.
    pub fn read() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "a float is what Prometheus takes")]
        let cpu_seconds = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        Self {
            cpu_seconds,
            resident_bytes: resident_bytes(),
            open_files: open_files(),
            max_files: getrlimit(Resource::Nofile).current,
        }
    }
}

fn resident_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let resident: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    resident.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

fn open_files() -> Option<u64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them was open for counting.
    u64::try_from(open).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_what_this_process_uses() {
        let figures = ProcessFigures::read();
        let mebibytes = figures.resident_bytes.unwrap() >> 20;
        assert!((1..10_000).contains(&mebibytes), "{figures:?}");
        assert!(figures.open_files.unwrap() >= 3, "{figures:?}");
        assert!(figures.cpu_seconds > 0.0 && figures.cpu_seconds < 100_000.0, "{figures:?}");
    }
}
