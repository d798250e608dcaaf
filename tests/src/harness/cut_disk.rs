use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{SHORT, eventually};

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: from now on nothing reaches the disk, not even the
/// journal that is in memory. By perl, which every Debian has: an ioctl of our own would be unsafe.
const CUT: &str = r#"open(my $f, "<", $ARGV[0]) or die "open: $!";
    my $flags = pack("L", 2);
    defined ioctl($f, 0x8004587d, $flags) or die "ioctl: $!";"#;

/// An ext4 file system in a file, whose power can be cut.
#[derive(Debug)]
pub struct CutDisk {
    folder: tempfile::TempDir,
}

impl CutDisk {
    /// Makes and mounts one of this size, or says why it can't be.
    ///
    /// # Errors
    /// The reason, for [`super::skip`].
    pub fn mount(mebibytes: u64) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("thrum-cut-").tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        let disk = Self { folder };
        disk.try_mount()?;
        Ok(disk)
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Cuts the power: what was not written to the disk by now never is.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut(&self) -> Result<(), String> {
        run(Command::new("perl").args(["-e", CUT]).arg(self.path()))
    }

    /// Mounts it again, as after a boot. Nothing may use it.
    ///
    /// # Panics
    /// When it can't be mounted.
    pub fn boot(&self) {
        // A process that has just ended may still hold it for a moment.
        eventually(SHORT, || run(Command::new("umount").arg(self.path())));
        // What another mount namespace still holds (one begun by another test has all mounts) would be mounted
        // again as it is, without power. A copy is another disk, with what had reached this one.
        let (image, copy) = (self.folder.path().join("image"), self.folder.path().join("copy"));
        std::fs::copy(&image, &copy).unwrap();
        std::fs::rename(&copy, &image).unwrap();
        self.try_mount().unwrap();
    }

    fn try_mount(&self) -> Result<(), String> {
        let image = self.folder.path().join("image");
        run(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).args([&image, &self.path()]))
    }
}

impl Drop for CutDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = Path::new(command.get_program()).display().to_string();
    let Output { status, stderr, .. } =
        command.output().map_err(|error| format!("no program {program}: {error}"))?;
    let said = String::from_utf8_lossy(&stderr);
    if status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}
