use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::read_some;

/// What a wire does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireState {
    /// It carries everything.
    Good,
    /// It closes new connections at once, and each other one when something is to be carried over it: nothing gets
    /// through any more.
    Dead,
    /// It carries every request and cuts the connection after so many bytes of answers: the other
    /// side has done what was asked, and the asking one doesn't learn it.
    CutAnswers(usize),
    /// It carries everything, and each piece of an answer only after so many milliseconds.
    Slow(u64),
}

/// A wire to a daemon that the test can cut. [`super::Daemon::set_peer_address`] puts it between two.
pub struct Wire {
    address: SocketAddr,
    state: Arc<Mutex<WireState>>,
    cuts: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Wire {
    /// A good wire to this address.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(WireState::Good)),
            cuts: Arc::default(),
            bytes: Arc::default(),
            stop: Arc::default(),
        };
        let (state, stop) = (wire.state.clone(), wire.stop.clone());
        let (cuts, bytes) = (wire.cuts.clone(), wire.bytes.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (state, cuts, bytes) = (state.clone(), cuts.clone(), bytes.clone());
                std::thread::spawn(move || carry(near, far, &state, &cuts, &bytes));
            }
        });
        wire
    }

    /// Its near end.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does.
    ///
    /// # Panics
    /// When one of its threads panicked.
    pub fn set(&self, state: WireState) {
        *self.state.lock().unwrap() = state;
    }

    /// How many connections it has cut.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// How many bytes it has carried, in both directions.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        let _woken = TcpStream::connect(self.address);
    }
}

fn carry(
    mut near: TcpStream,
    far: SocketAddr,
    state: &Arc<Mutex<WireState>>,
    cuts: &AtomicU64,
    bytes: &Arc<AtomicU64>,
) {
    if *state.lock().unwrap() == WireState::Dead {
        cuts.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let Ok(mut there) = TcpStream::connect(far) else { return };
    let (Ok(mut from_near), Ok(mut to_far)) = (near.try_clone(), there.try_clone()) else { return };
    let (asked, asking) = (Arc::clone(bytes), Arc::clone(state));
    let requests = std::thread::spawn(move || {
        let mut block = [0; 4096];
        while let Ok(count @ 1..) = read_some(&mut from_near, &mut block) {
            if *asking.lock().unwrap() == WireState::Dead {
                break;
            }
            asked.fetch_add(count as u64, Ordering::Relaxed);
            if to_far.write_all(&block[..count]).is_err() {
                break;
            }
        }
        let _closed = to_far.shutdown(Shutdown::Write);
    });
    let mut block = [0; 4096];
    let mut carried = 0;
    while let Ok(count @ 1..) = read_some(&mut there, &mut block) {
        let now = *state.lock().unwrap();
        let allowed = match now {
            WireState::Good => count,
            WireState::Slow(millis) => {
                std::thread::sleep(Duration::from_millis(millis));
                count
            }
            WireState::Dead => 0,
            WireState::CutAnswers(after) => count.min(after.saturating_sub(carried)),
        };
        carried += allowed;
        bytes.fetch_add(allowed as u64, Ordering::Relaxed);
        if near.write_all(&block[..allowed]).is_err() {
            break;
        }
        if allowed < count {
            cuts.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    for stream in [&near, &there] {
        let _closed = stream.shutdown(Shutdown::Both);
    }
    let _ended = requests.join();
}
