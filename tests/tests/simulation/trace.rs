use std::collections::VecDeque;
use std::fmt::Debug;

use crate::world::Micros;

/// Everything that happened: a digest of all of it, and the words of the end.
#[derive(Default)]
pub struct Trace {
    digest: u64,
    pub last: VecDeque<String>,
}

impl Trace {
    pub fn note(&mut self, now: Micros, node: usize, what: &dyn Debug) {
        let line = format!("{:>12.3} {node} {what:?}", now as f64 / 1e6);
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.last.push_back(line);
        if self.last.len() > 80 {
            self.last.pop_front();
        }
    }

    pub fn digest(&self) -> u64 {
        self.digest
    }
}
