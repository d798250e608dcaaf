use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use super::driver::Driver;

/// For a command of the driver. Under load a browser takes long to start.
const COMMAND_LIMIT: Duration = Duration::from_secs(90);
/// For a script in the page.
const SCRIPT_LIMIT: Duration = Duration::from_secs(60);

/// Runs in each document before its own scripts: notes what the policy of the page forbade, and what went wrong.
const WATCH: &str = "
window.__complaints = [];
addEventListener('securitypolicyviolation', (event) => {
  window.__complaints.push(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
}, true);
addEventListener('error', (event) => window.__complaints.push(`error: ${event.message}`), true);
addEventListener('unhandledrejection', (event) => window.__complaints.push(`rejection: ${event.reason}`));
";

/// How a browser is to be started.
#[derive(Debug)]
pub struct BrowserSetup {
    axe: PathBuf,
    hosts: String,
    watches_requests: bool,
}

impl BrowserSetup {
    /// One into whose pages this file of axe-core can be put.
    pub(super) fn new(axe: PathBuf) -> Self {
        Self { axe, hosts: String::new(), watches_requests: false }
    }

    /// This name leads to loopback, as if its owner had said so in the DNS.
    #[must_use]
    pub fn with_host(mut self, name: &str) -> Self {
        self.hosts = format!("MAP {name} 127.0.0.1, {}", self.hosts);
        self
    }

    /// [`Browser::requested`] is wanted.
    #[must_use]
    pub fn watching_requests(mut self) -> Self {
        self.watches_requests = true;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it can't be started.
    #[track_caller]
    pub fn start(self) -> Browser {
        let folder = tempfile::Builder::new().prefix("thrum-page-").tempdir_in("/tmp").unwrap();
        let driver = Driver::start(folder.path());
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(self.capabilities(folder.path()));
        let connecting =
            async { tokio::time::timeout(COMMAND_LIMIT, builder.connect(&driver.address())).await };
        let client = match runtime.block_on(connecting) {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => panic!("no browser: {error}"),
            Err(_) => panic!("no browser within {COMMAND_LIMIT:?}"),
        };
        let (client, folder, axe) = (Some(client), Some(folder), self.axe.clone());
        let browser = Browser { axe, runtime, client, _driver: driver, folder };
        browser.watch();
        // Its own page for a new tab has asked for much.
        browser.open("about:blank");
        browser.resize(1280, 800);
        if self.watches_requests {
            browser.requested();
        }
        browser
    }

    fn capabilities(&self, folder: &Path) -> Map<String, Value> {
        let hosts = format!("{}MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", self.hosts);
        let arguments = json!([
            "--headless=new",
            // Root has no sandbox.
            "--no-sandbox",
            format!("--user-data-dir={}", folder.join("profile").display()),
            format!("--host-resolver-rules={hosts}"),
            // Talks to nobody by itself.
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-default-apps",
            "--disable-domain-reliability",
            "--disable-sync",
            "--no-first-run",
            "--no-pings",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            // A tab that nobody looks at is as awake as one in front.
            "--disable-background-timer-throttling",
            "--disable-backgrounding-occluded-windows",
            "--disable-renderer-backgrounding",
            "--force-color-profile=srgb",
            "--lang=en-US",
        ]);
        let mut logs = json!({ "browser": "ALL" });
        if self.watches_requests {
            logs["performance"] = "ALL".into();
        }
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": arguments },
            "goog:loggingPrefs": logs,
            "timeouts": { "script": SCRIPT_LIMIT.as_millis() },
            // A dialog is left open, and the next command says so.
            "unhandledPromptBehavior": "ignore",
        });
        capabilities.as_object().cloned().unwrap_or_default()
    }
}

/// A real browser with a profile of its own. Dropping it ends it; if the test fails it leaves a picture and prints what
/// the page says.
#[derive(Debug)]
pub struct Browser {
    pub(super) axe: PathBuf,
    runtime: Runtime,
    client: Option<Client>,
    _driver: Driver,
    folder: Option<tempfile::TempDir>,
}

impl Browser {
    pub(super) fn client(&self) -> &Client {
        self.client.as_ref().expect("a session until it is dropped")
    }

    /// Waits for a command of the driver.
    pub(super) fn run<T, E: std::fmt::Display>(
        &self,
        command: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        self.runtime.block_on(async {
            match tokio::time::timeout(COMMAND_LIMIT, command).await {
                Ok(done) => done.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no answer within {COMMAND_LIMIT:?}")),
            }
        })
    }

    /// Sees to it that [`Self::complaints`] knows what happens in the present tab.
    fn watch(&self) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH }));
    }

    /// Opens an address in the present tab.
    ///
    /// # Panics
    /// When the browser refuses it.
    #[track_caller]
    pub fn open(&self, address: &str) {
        self.run(self.client().goto(address)).unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// Loads the page again.
    ///
    /// # Panics
    /// When it can't be had.
    #[track_caller]
    pub fn reload(&self) {
        self.run(self.client().refresh()).unwrap_or_else(|error| panic!("reload: {error}"));
    }

    /// The address in the address bar.
    #[track_caller]
    pub fn address(&self) -> String {
        self.run(self.client().current_url()).expect("an address").to_string()
    }

    /// Opens an empty tab and goes there; gives the name of the one that was left.
    ///
    /// # Panics
    /// When there can't be another.
    #[track_caller]
    pub fn new_tab(&self) -> String {
        let left = self.tab();
        let tab = self.run(self.client().new_window(true)).expect("another tab");
        self.run(self.client().switch_to_window(tab.handle)).expect("the other tab");
        self.watch();
        left
    }

    /// The name of the present tab.
    ///
    /// # Panics
    /// When it was closed.
    #[track_caller]
    pub fn tab(&self) -> String {
        self.run(self.client().window()).expect("a tab").into()
    }

    /// The names of all tabs.
    #[track_caller]
    pub fn tabs(&self) -> Vec<String> {
        let tabs = self.run(self.client().windows()).expect("its tabs");
        tabs.into_iter().map(String::from).collect()
    }

    /// Goes to a tab.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn go_to_tab(&self, name: &str) {
        let tab = name.to_owned().try_into().expect("the name of a tab");
        self.run(self.client().switch_to_window(tab)).expect("that tab");
    }

    /// Runs a function body in the page: `arguments` are its arguments, and a promise that it returns is waited for.
    ///
    /// # Errors
    /// When it throws, or a dialog is open.
    pub fn try_script(&self, body: &str, arguments: Vec<Value>) -> Result<Value, String> {
        self.run(self.client().execute(body, arguments))
    }

    /// The same for one that must succeed.
    ///
    /// # Panics
    /// When it doesn't.
    #[track_caller]
    pub fn script(&self, body: &str, arguments: Vec<Value>) -> Value {
        self.try_script(body, arguments).unwrap_or_else(|error| panic!("{body}: {error}"))
    }

    /// Runs a script whose last argument is a function that takes its result.
    ///
    /// # Panics
    /// When that is not called within a minute.
    #[track_caller]
    pub fn script_until_done(&self, body: &str, arguments: Vec<Value>) -> Value {
        self.run(self.client().execute_async(body, arguments))
            .unwrap_or_else(|error| panic!("{error} in {body}"))
    }

    /// What the page did that it should not: forbidden by its policy, thrown and caught by nobody, or complained about
    /// in the console. Each is told once.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let noted = self.script(
            "const noted = window.__complaints; window.__complaints = []; return noted;",
            vec![],
        );
        let noted = noted.as_array().expect("a document that is watched").iter();
        let mut found: Vec<_> = noted.map(ToString::to_string).collect();
        let console = self.log("browser");
        let severe = console.iter().filter(|entry| entry["level"] == "SEVERE");
        found.extend(severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()));
        found
    }

    /// A picture of what is seen, as PNG.
    ///
    /// # Errors
    /// When there is none.
    pub fn picture(&self) -> Result<Vec<u8>, String> {
        self.run(self.client().screenshot())
    }

    fn leaves_a_trace(&self) {
        let text = self.try_script("return document.body.innerText.slice(0, 4000);", vec![]);
        let address = self.run(self.client().current_url()).map(|url| url.to_string());
        eprintln!(
            "--- the page at {address:?}\n{}",
            match &text {
                Ok(text) => text.as_str().unwrap_or_default(),
                Err(error) => error,
            }
        );
        for entry in
            self.run(async { Ok::<_, String>(()) }).map(|()| self.log("browser")).iter().flatten()
        {
            eprintln!("console: {} {}", entry["level"], entry["message"]);
        }
        let kept =
            tempfile::Builder::new().prefix("thrum-page-").suffix(".png").tempfile_in("/tmp");
        match (self.picture(), kept.map(|file| file.keep())) {
            (Ok(picture), Ok(Ok((_, path)))) => {
                let _unwritten = std::fs::write(&path, picture);
                eprintln!("--- a picture of it: {}", path.display());
            }
            (Err(error), _) => eprintln!("--- no picture of it: {error}"),
            _ => eprintln!("--- no file for a picture"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.leaves_a_trace();
        }
        if let Some(client) = self.client.take() {
            let _closed = self.run(client.close());
        }
        drop(self.folder.take());
    }
}
