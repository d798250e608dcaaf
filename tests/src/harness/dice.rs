//! Random numbers that a seed decides.

/// A seeded sequence (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From `THRUM_TEST_SEED`, or from the clock; prints the seed, so that a failure can be repeated.
    pub fn seeded() -> Self {
        let now =
            std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64);
        let seed = number("THRUM_TEST_SEED").unwrap_or(now);
        println!("THRUM_TEST_SEED={seed}");
        Self(seed)
    }

    /// Another sequence, decided by this one.
    #[must_use]
    pub fn branch(&mut self) -> Self {
        Self(self.next())
    }

    /// The next number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An index of a list of this length, which is not 0.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
