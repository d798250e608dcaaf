use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{SHORT, eventually};

/// A running chromedriver. Dropping it ends it, and with it the browsers that it started.
#[derive(Debug)]
pub(super) struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    /// Starts one with its files in this folder.
    #[track_caller]
    pub(super) fn start(folder: &Path) -> Self {
        let said = folder.join("chromedriver.log");
        let log = File::create(&said).unwrap();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            // Chromium's files, too: nothing is left in /tmp.
            .env("TMPDIR", folder)
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("chromedriver starts");
        let port = eventually(SHORT, || {
            let text = std::fs::read_to_string(&said).unwrap_or_default();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("chromedriver ended, {status}: {text}");
            }
            let (_, rest) = text.split_once("successfully on port ").ok_or_else(|| text.clone())?;
            let (number, _) = rest.split_once('.').ok_or_else(|| text.clone())?;
            number.parse().map_err(|_| text.clone())
        });
        Self { child, port }
    }

    /// Where it is asked.
    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
