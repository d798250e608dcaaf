//! What chromedriver offers beyond the standard of WebDriver.

use fantoccini::wd::WebDriverCompatibleCommand;
use serde_json::{Value, json};
use url::{ParseError, Url};

use super::Browser;

/// A command of chromedriver's own.
#[derive(Debug)]
struct OwnCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for OwnCommand {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (hyper::Method, Option<String>) {
        (hyper::Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Calls a method of the DevTools protocol in the present tab.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn devtools(&self, method: &str, params: Value) -> Value {
        let body = json!({ "cmd": method, "params": params });
        self.issue(OwnCommand { path: "goog/cdp/execute", body })
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// What a log of the browser got since it was asked last: `browser` is its console, `performance` are the events of
    /// the network.
    ///
    /// # Panics
    /// When there is no such log.
    #[track_caller]
    pub fn log(&self, kind: &str) -> Vec<Value> {
        let command = OwnCommand { path: "se/log", body: json!({ "type": kind }) };
        let entries = self.issue(command).unwrap_or_else(|error| panic!("log {kind}: {error}"));
        entries.as_array().cloned().unwrap_or_default()
    }

    fn issue(&self, command: OwnCommand) -> Result<Value, String> {
        self.run(self.client().issue_cmd(command)).map_err(|error| error.to_string())
    }

    /// Makes what the page sees this wide and high, in CSS pixels.
    ///
    /// # Panics
    /// When it doesn't become so.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
        self.until(&format!("innerWidth === {width} && innerHeight === {height}"));
    }

    /// What the person prefers, such as `("prefers-color-scheme", "dark")`. Takes the place of earlier ones.
    #[track_caller]
    pub fn prefers(&self, features: &[(&str, &str)]) {
        let features: Vec<_> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Bytes of the page's objects, after what nobody refers to was thrown away.
    #[track_caller]
    pub fn heap_bytes(&self) -> u64 {
        self.devtools("HeapProfiler.collectGarbage", json!({}));
        let usage = self.devtools("Runtime.getHeapUsage", json!({}));
        usage["usedSize"].as_f64().expect("a size") as u64
    }

    /// Where requests of the page went since this was asked last, those of web sockets, too. Only of a browser that
    /// was started with [`super::BrowserSetup::watching_requests`].
    #[track_caller]
    pub fn requested(&self) -> Vec<String> {
        let entries = self.log("performance");
        let texts = entries.iter().filter_map(|entry| entry["message"].as_str());
        let events = texts.filter_map(|text| serde_json::from_str::<Value>(text).ok());
        events
            .filter_map(|event| {
                let params = &event["message"]["params"];
                match event["message"]["method"].as_str()? {
                    "Network.requestWillBeSent" => params["request"]["url"].as_str(),
                    "Network.webSocketCreated" => params["url"].as_str(),
                    _ => None,
                }
                .map(str::to_owned)
            })
            .collect()
    }
}
