//! The file that leads the browser to the page.
//!
//! Everybody on a machine can read the arguments of every program, so the address with the token is in none: the browser
//! is told to open a file that only the person can read.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::Error;

/// The file, in a folder of its own. Both are removed when it is dropped.
#[derive(Debug)]
pub struct Redirect {
    path: PathBuf,
    _folder: TempDir,
}

impl Redirect {
    /// Writes a file that leads to this address.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn to(address: &str) -> Result<Self, Error> {
        let cant = |source| Error::io("can't write the file that the browser opens", source);
        // The folder of temporary files of this session, if there is one, lies in memory. Only its owner can enter ours.
        let only_owner = Permissions::from_mode(0o700);
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("thrum-ui-").permissions(only_owner);
        let folder = runtime.filter(|path| path.is_absolute()).map(|path| builder.tempdir_in(path));
        let folder = match folder {
            Some(Ok(folder)) => folder,
            _ => builder.tempdir().map_err(cant)?,
        };
        let path = folder.path().join("open.html");
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&path).map_err(cant)?;
        file.write_all(page(address).as_bytes()).map_err(cant)?;
        Ok(Self { path, _folder: folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The address is ours: it has no character that HTML would take for something else.
fn page(address: &str) -> String {
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"refresh\" content=\"0;url={address}\">\n<title>Thrum</title>\n\
         <p><a href=\"{address}\">Open Thrum</a></p>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_for_its_owner_alone_and_goes_with_the_value() {
        let redirect = Redirect::to("http://127.0.0.1:4173/#t=abc").unwrap();
        let path = redirect.path().to_owned();
        let folder = path.parent().unwrap().to_owned();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("content=\"0;url=http://127.0.0.1:4173/#t=abc\""), "{text}");
        drop(redirect);
        assert!(!folder.exists());
    }
}
