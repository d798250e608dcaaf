/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// What the targets are about.
    Full,
    /// A look that all works, in seconds. Its ratios mean little.
    Quick,
}

impl Size {
    pub(super) fn of(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => (full / 20).max(3),
        }
    }
}
