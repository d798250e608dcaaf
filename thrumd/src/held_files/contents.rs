//! What is in a small file, as this process read or wrote it.

use std::fmt;

use zeroize::Zeroizing;

/// The contents of a small file. Some are secret: they are never printed, and overwritten in memory when they are
/// dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FileContents(Zeroizing<Vec<u8>>);

impl FileContents {
    /// The contents.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for FileContents {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<Zeroizing<Vec<u8>>> for FileContents {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for FileContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileContents({} bytes)", self.0.len())
    }
}
