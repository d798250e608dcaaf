//! A real Prometheus scrapes two daemons, with the rules and the queries of the dashboard.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tests::harness::{LONG, Port, SHORT, eventually, holds, http};

use crate::files::{self, of_dashboard, program, read};
use crate::scraped::Pair;

/// A Prometheus. Dropping it ends it.
struct Prometheus {
    child: Child,
    port: Port,
    folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that scrapes these with these rules. None if there can be none here.
    fn start(targets: &[SocketAddr], rules: &str) -> Option<Self> {
        let program = program("prometheus")?;
        let folder = tempfile::Builder::new().prefix("thrum-prometheus-").tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let config = serde_json::json!({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [path("rules.yml")],
            "scrape_configs": [{
                "job_name": "thrum",
                "static_configs": [{"targets": targets.iter().map(ToString::to_string).collect::<Vec<_>>()}],
            }],
        });
        // JSON is YAML.
        fs::write(path("prometheus.yml"), config.to_string()).unwrap();
        fs::write(path("rules.yml"), rules).unwrap();
        let port = Port::take();
        let child = Command::new(program)
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{}", port.number()))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        Some(Self { child, port, folder })
    }

    /// The data of an answer of its API.
    fn ask(&self, path: &str, query: &str) -> Result<Value, String> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port.number()));
        let (method, body) = match query {
            "" => ("GET", String::new()),
            _ => ("POST", format!("query={}", encoded(query))),
        };
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let request = http::request(method, path, &form, body.as_bytes());
        let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        let response = http::exchange(&mut stream, &request).map_err(|error| error.to_string())?;
        if response.status != 200 {
            return Err(format!("{query}: {}", response.text()));
        }
        Ok(response.json()["data"].clone())
    }

    /// The labels of each alert of this name that fires.
    fn firing(&self, name: &str) -> Result<Vec<Value>, String> {
        let data = self.ask("/api/v1/alerts", "")?;
        let fires =
            |alert: &&Value| alert["state"] == "firing" && alert["labels"]["alertname"] == name;
        let alerts = data["alerts"].as_array().unwrap().iter().filter(fires);
        Ok(alerts.map(|alert| alert["labels"].clone()).collect())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The rules, where a peer is late after seconds.
fn hasty_rules() -> String {
    let text = read(files::RULES);
    let (head, _) = text.split_once("      - alert: ").unwrap();
    let hasty = |(alert, rule): (String, String)| match alert.as_str() {
        "PeerNotSynced" => {
            assert!(rule.contains("> 900)") && rule.contains("for: 5m"), "{rule}");
            rule.replace("> 900)", "> 3)").replace("for: 5m", "for: 1s")
        }
        _ => rule,
    };
    let rules = files::rules().into_iter().map(hasty);
    rules.fold(head.to_owned(), |text, rule| text + "      - alert: " + &rule)
}

#[test]
fn an_alert_fires_when_a_peer_stops_and_ends_when_it_is_back() {
    let mut pair = Pair::start();
    let Some(prometheus) = Prometheus::start(&pair.addresses(), &hasty_rules()) else { return };
    let scraped = |count: &str| {
        let data = prometheus.ask("/api/v1/query", "sum(up{job=\"thrum\"})")?;
        holds(data["result"][0]["value"][1] == count, || format!("{data}: {}", prometheus.log()))
    };
    eventually(SHORT, || scraped("2"));
    pair.server.stop();
    let server = pair.addresses()[1].to_string();
    let [laptop, _] = pair.addresses().map(|address| address.to_string());
    eventually(LONG, || {
        let firing = prometheus.firing("PeerNotSynced")?;
        let told = |labels: &Value| {
            labels["name"] == "server"
                && labels["instance"] == *laptop
                && labels["severity"] == "info"
        };
        holds(firing.iter().any(told), || format!("{firing:?} without {server}"))
    });
    eventually(SHORT, || scraped("1"));
    pair.server.start_again();
    eventually(LONG, || {
        scraped("2")?;
        let firing = prometheus.firing("PeerNotSynced")?;
        holds(firing.is_empty(), || format!("{firing:?}"))
    });
    // Also on real series, where one side of a match could have several.
    let data = prometheus.ask("/api/v1/rules", "").unwrap();
    for rule in data["groups"][0]["rules"].as_array().unwrap() {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}

#[test]
fn every_graph_of_the_dashboard_shows_something() {
    let pair = Pair::start();
    let Some(prometheus) = Prometheus::start(&pair.addresses(), &read(files::RULES)) else {
        return;
    };
    let mut missing = of_dashboard();
    eventually(LONG, || {
        let mut wrong = Vec::new();
        missing.retain(|(title, expression)| {
            let query = expression
                .replace("$__rate_interval", "1m")
                .replace("$__interval", "1m")
                .replace("$job", "thrum")
                .replace("$instance", ".*");
            match prometheus.ask("/api/v1/query", &query) {
                // What is shown only if there is some of it is none now.
                Ok(_) if expression.contains("> 0") => false,
                Ok(data) => data["result"].as_array().unwrap().is_empty(),
                Err(error) => {
                    wrong.push(format!("{title}: {error}"));
                    true
                }
            }
        });
        holds(missing.is_empty(), || format!("nothing of {missing:#?}; {wrong:#?}"))
    });
}
