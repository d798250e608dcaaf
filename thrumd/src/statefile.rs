//! State files: small files that are read whole, replaced atomically and readable by their owner alone.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustix::fs::OFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::clock;
use crate::held_files::{ChangedFile, FileContents, HeldFiles};
use crate::storage::StorageFault;

/// Far more than a state file ever holds; a larger one is not ours.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// More than the key file has: a buffer that grows leaves a copy of the key behind.
const BUFFER_BYTES: usize = 1024;
const OWNER_ONLY: u32 = 0o600;
/// In tests a directory with a file of this name can't be synced.
pub(crate) const SYNC_FAILS: &str = "sync-fails";

/// An error of a state file.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The file exists and can't be read.
    #[error("could not read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// The file is damaged.
    #[error("{} is damaged", path.display())]
    Damaged {
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
    /// The file was replaced, but may not survive a power cut.
    #[error("could not sync {}, so that a power cut may bring the old state back", path.display())]
    Unsynced {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// The file could not be written; the old contents are still there.
    #[error("could not {step} {}", path.display())]
    Write {
        /// The file that this step was about.
        path: PathBuf,
        /// What was done to it.
        step: &'static str,
        #[source]
        cause: io::Error,
    },
    /// The file was removed or replaced: nothing is overwritten.
    #[error("nothing is written: {0}")]
    Changed(ChangedFile),
    /// The contents can't be written as JSON.
    #[error("could not write {} as JSON", path.display())]
    Encode {
        path: PathBuf,
        #[source]
        cause: serde_json::Error,
    },
}

impl StateFileError {
    /// What a person can do about it, if it is a fault of the storage.
    pub fn next(&self) -> Option<String> {
        if let Self::Changed(changed) = self {
            return Some(changed.next());
        }
        let (Self::Read { path, cause }
        | Self::Unsynced { path, cause }
        | Self::Write { path, cause, .. }) = self
        else {
            return None;
        };
        Some(StorageFault::of_io(cause).next(path))
    }
}

/// A state file. This process is its only writer, because it has locked the directory.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
    held: OnceLock<HeldFiles>,
    /// What was read or written last, until it is held. None if there was no file.
    contents: Arc<Mutex<Option<FileContents>>>,
}

impl StateFile {
    /// The file of this name. Touches nothing.
    pub fn new(dir: &Path, name: &str) -> Self {
        Self { path: dir.join(name), held: OnceLock::new(), contents: Arc::default() }
    }

    /// Holds it from now on: it is overwritten only while it is what was read or written last.
    ///
    /// # Errors
    /// When it is something else already.
    pub fn hold(&self, files: &HeldFiles) -> Result<(), StateFileError> {
        files.hold_contents(self.path.clone(), self.contents.lock().take());
        self.held.get_or_init(|| files.clone());
        files.check_file(&self.path).map_err(StateFileError::Changed)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it; None if there is no such file. One that others may read (restored from a
    /// backup) is closed to them.
    ///
    /// # Errors
    /// When it can't be read, and when it is damaged.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, StateFileError> {
        let failed = |cause| StateFileError::Read { path: self.path.clone(), cause };
        // Not through a link: its owner may not be ours, and the mode is changed below.
        let no_link = OFlags::NOFOLLOW.bits().cast_signed();
        let opened = OpenOptions::new().read(true).custom_flags(no_link).open(&self.path);
        let file = match opened {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(failed(cause)),
        };
        let metadata = file.metadata().map_err(failed)?;
        let mode = metadata.permissions().mode();
        if mode & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(OWNER_ONLY)).map_err(failed)?;
        }
        let length = usize::try_from(metadata.len().min(MAX_BYTES)).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        let contents = serde_json::from_slice(&bytes)
            .map_err(|cause| StateFileError::Damaged { path: self.path.clone(), cause })?;
        *self.contents.lock() = Some(bytes.into());
        Ok(Some(contents))
    }

    /// Replaces its contents with JSON. When this returns, the new contents survive a power cut; when
    /// the machine dies meanwhile, the old ones or the new ones are there, whole. When it fails, the old
    /// ones are still there, unless it says [`StateFileError::Unsynced`]: then it is the new ones. Blocks
    /// on the disk.
    ///
    /// # Errors
    /// When a step fails; the error names it.
    pub fn write<T: Serialize>(&self, contents: &T) -> Result<(), StateFileError> {
        let encode = |cause| StateFileError::Encode { path: self.path.clone(), cause };
        self.write_bytes(&to_bytes(contents).map_err(encode)?)
    }

    /// Replaces its contents with these bytes.
    ///
    /// # Errors
    /// When a step fails; the error names it.
    pub fn write_bytes(&self, contents: &[u8]) -> Result<(), StateFileError> {
        if let Some(held) = self.held.get() {
            // The others don't matter: a stolen laptop is removed also when the log can't be written.
            held.check_file(&self.path).map_err(StateFileError::Changed)?;
        }
        let temporary = self.beside("new");
        let failed = |path: &Path, step| {
            let path = path.to_owned();
            move |cause| StateFileError::Write { path, step, cause }
        };
        // A leftover of a crash may have another mode, so the temporary file is always newly created.
        remove_if_present(&temporary).map_err(failed(&temporary, "remove"))?;
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(OWNER_ONLY)
            .open(&temporary)
            .and_then(|mut file| {
                give_to_owner(&self.path, &file)?;
                file.write_all(contents)?;
                file.sync_all()
            })
            .map_err(failed(&temporary, "write"))
            .and_then(|()| {
                let replace = || fs::rename(&temporary, &self.path);
                let replaced = match self.held.get() {
                    Some(held) => held.replacing(&self.path, contents, replace),
                    None => replace(),
                };
                replaced.map_err(failed(&self.path, "replace"))
            });
        if let Err(error) = written {
            // On a full disk the half-written file would take up space.
            if let Err(cause) = fs::remove_file(&temporary) {
                tracing::debug!(path = %temporary.display(), %cause, "temporary file stays");
            }
            return Err(error);
        }
        if self.held.get().is_none() {
            *self.contents.lock() = Some(contents.to_vec().into());
        }
        self.sync_directory()
    }

    /// Removes it, and what a crash left of a write. It may be gone already.
    ///
    /// # Errors
    /// When it can't be removed.
    pub fn remove(&self) -> Result<(), StateFileError> {
        for path in [&self.path, &self.beside("new")] {
            remove_if_present(path).map_err(|cause| StateFileError::Write {
                path: path.clone(),
                step: "remove",
                cause,
            })?;
        }
        Ok(())
    }

    /// Moves the file aside, to `NAME.WHY-TIMESTAMP`, and returns its new path.
    ///
    /// # Errors
    /// When it can't be renamed.
    pub fn move_aside(&self, why: &str) -> Result<PathBuf, StateFileError> {
        let moment = clock::now().to_string().replace(['-', ':'], "");
        let aside = self.beside(&format!("{why}-{moment}"));
        fs::rename(&self.path, &aside).map_err(|cause| StateFileError::Write {
            path: self.path.clone(),
            step: "move aside",
            cause,
        })?;
        self.sync_directory()?;
        Ok(aside)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".");
        path.push(suffix);
        path.into()
    }

    // The rename is on disk only when the directory is.
    fn sync_directory(&self) -> Result<(), StateFileError> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        // Tests make this step fail.
        let synced = match cfg!(test) && directory.join(SYNC_FAILS).exists() {
            true => Err(io::Error::other("a test")),
            false => synced,
        };
        synced.map_err(|cause| StateFileError::Unsynced { path: directory.to_owned(), cause })
    }
}

/// The contents of a state file, as they are written.
///
/// # Errors
/// When they can't be written as JSON.
pub fn to_bytes<T: Serialize>(contents: &T) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(BUFFER_BYTES));
    serde_json::to_writer_pretty(&mut *bytes, contents)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Gives a file to the owner of its directory: what a daemon of root's writes for a tailscaled of its own is that
/// one's to read.
fn give_to_owner(path: &Path, file: &File) -> io::Result<()> {
    let Some(dir) = path.parent().filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(());
    };
    let owner = fs::metadata(dir)?;
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Removes a file; it may be gone already.
///
/// # Errors
/// When it is there and can't be removed.
pub fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
