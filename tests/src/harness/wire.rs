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
    /// It closes new connections at once.
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
            stop: Arc::default(),
        };
        let (state, cuts, stop) = (wire.state.clone(), wire.cuts.clone(), wire.stop.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (state, cuts) = (state.clone(), cuts.clone());
                std::thread::spawn(move || carry(near, far, &state, &cuts));
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
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        let _woken = TcpStream::connect(self.address);
    }
}

fn carry(mut near: TcpStream, far: SocketAddr, state: &Mutex<WireState>, cuts: &AtomicU64) {
    if *state.lock().unwrap() == WireState::Dead {
        cuts.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let Ok(mut there) = TcpStream::connect(far) else { return };
    let (Ok(mut from_near), Ok(mut to_far)) = (near.try_clone(), there.try_clone()) else { return };
    let requests = std::thread::spawn(move || {
        let _ended = std::io::copy(&mut from_near, &mut to_far);
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
