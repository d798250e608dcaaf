use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own, so that a disk can be full.
#[derive(Debug)]
pub struct Tmpfs {
    folder: tempfile::TempDir,
}

impl Tmpfs {
    /// Mounts one of this size, or says why it can't be.
    ///
    /// # Errors
    /// The reason, for [`super::skip`].
    pub fn mount(mebibytes: u32) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("thrum-disk-").tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(folder.path())
            .output()
            .map_err(|error| format!("no mount program: {error}"))?;
        if !done.status.success() {
            return Err(format!(
                "can't mount a tmpfs: {}",
                String::from_utf8_lossy(&done.stderr).trim()
            ));
        }
        Ok(Self { folder })
    }

    /// Mounts it read-only.
    ///
    /// # Panics
    /// When a file on it is open for writing.
    pub fn make_read_only(&self) {
        let words = ["-o", "remount,ro"];
        let done = Command::new("mount").args(words).arg(self.folder.path()).status().unwrap();
        assert!(done.success(), "{done}");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// As [`Self::fill`], but leaves this many bytes.
    pub fn fill_but(&self, bytes: u64) -> PathBuf {
        let path = self.fill();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(bytes)).unwrap();
        path
    }

    /// Writes a file until nothing more fits. Removing it makes space again.
    pub fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 16, 1 << 12, 1 << 9, 1] {
            let block = vec![0_u8; size];
            while file.write_all(&block).is_ok() {}
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}
