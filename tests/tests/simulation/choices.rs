use arbtest::arbitrary::Unstructured;

/// Everything that chance decides, from one seed. When the bytes are used up, every choice is the
/// mildest one, so that a run always ends.
pub struct Choices {
    bytes: Vec<u8>,
    used: usize,
}

impl Choices {
    pub fn new(seed: u64) -> Self {
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bytes = Vec::with_capacity(64 * 1024);
        while bytes.len() < 64 * 1024 {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
        }
        Self { bytes, used: 0 }
    }

    /// No chance at all: always the mildest.
    pub fn none() -> Self {
        Self { bytes: Vec::new(), used: 0 }
    }

    /// From 0 to `max`, both possible; 0 is the mildest.
    pub fn up_to(&mut self, max: u64) -> u64 {
        let rest = &self.bytes[self.used.min(self.bytes.len())..];
        let mut choice = Unstructured::new(rest);
        let value = choice.int_in_range(0..=max).unwrap_or(0);
        self.used += rest.len() - choice.len();
        value
    }

    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.up_to(len.saturating_sub(1) as u64)).unwrap_or(0)
    }

    /// True this often; never when the bytes are used up.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.up_to(99) >= 100 - percent.min(100)
    }

    pub fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.index(items.len())]
    }
}
