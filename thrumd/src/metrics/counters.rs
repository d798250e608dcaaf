//! Counters by a label with a fixed set of values.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// A label: a fixed set of words.
pub trait Label: Copy + 'static {
    /// Every value, in the order of `index`.
    const ALL: &'static [Self];
    /// Its place in `ALL`.
    fn index(self) -> usize;
    /// The value in `/metrics`.
    fn word(self) -> &'static str;
}

/// Declares a label: an enum, and the word of each of its values.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $value,)+ }

        impl $crate::metrics::Label for $name {
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn index(self) -> usize {
                self as usize
            }

            fn word(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }
        }
    };
}
pub(super) use label;

/// A counter for each value of a label.
#[derive(Debug)]
pub struct Counters<L> {
    counts: Box<[AtomicU64]>,
    label: PhantomData<L>,
}

impl<L: Label> Default for Counters<L> {
    fn default() -> Self {
        Self { counts: L::ALL.iter().map(|_| AtomicU64::new(0)).collect(), label: PhantomData }
    }
}

impl<L: Label> Counters<L> {
    /// Counts one more.
    pub fn inc(&self, label: L) {
        self.add(label, 1);
    }

    /// Counts that many more.
    pub fn add(&self, label: L, more: u64) {
        self.counts[label.index()].fetch_add(more, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn get(&self, label: L) -> u64 {
        self.counts[label.index()].load(Ordering::Relaxed)
    }

    /// The words and counts of all values.
    pub fn samples(&self) -> impl Iterator<Item = (&'static str, u64)> {
        L::ALL.iter().map(|label| (label.word(), self.get(*label)))
    }
}
