use std::fs::File;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A TCP port of loopback that stays this daemon's over its restarts, because its peers know it.
///
/// It lies below the range from which the system gives ports to others. A locked file keeps
/// other test programs away from it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;
static NEXT: AtomicU16 = AtomicU16::new(0);

impl Port {
    /// Takes a free one.
    ///
    /// # Panics
    /// When there is none, or the locks can't be made.
    pub fn take() -> Self {
        // One for each user: the next one may not write into what root made.
        let user = rustix::process::geteuid().as_raw();
        let folder = std::env::temp_dir().join(format!("thrum-test-ports-{user}"));
        std::fs::create_dir_all(&folder).expect("the folder of port locks");
        let start = (std::process::id() % u32::from(COUNT)) as u16;
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = FIRST + (start.wrapping_mul(61).wrapping_add(step)) % COUNT;
            let path = folder.join(number.to_string());
            let lock = File::create(&path).unwrap_or_else(|error| {
                panic!("no port can be locked by {}: {error}", path.display())
            });
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT);
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
