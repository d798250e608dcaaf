use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpStream};

use super::http::{Response, exchange, request};
use super::{Daemon, connect_unix};

/// A sample of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name; of a histogram with `_bucket`, `_sum` or `_count`.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// A page in Prometheus's text format, version 0.0.4.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    /// The type of each family.
    pub types: BTreeMap<String, String>,
    /// The samples.
    pub samples: Vec<Sample>,
}

impl Scrape {
    /// Reads a page.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn read(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').expect("a name and a type");
                let before = page.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{name} is there twice");
            } else if !line.starts_with("# HELP ") {
                let sample = sample(line).unwrap_or_else(|| panic!("no sample: {line:?}"));
                let family = family_of(&page.types, &sample.name);
                assert!(page.types.contains_key(family), "no type before {line:?}");
                let same = |it: &Sample| (&it.name, &it.labels) == (&sample.name, &sample.labels);
                assert!(!page.samples.iter().any(same), "twice: {line:?}");
                page.samples.push(sample);
            }
        }
        page
    }

    /// The labels of a family's samples, without `le`. None if it has no samples.
    pub fn labels(&self, family: &str) -> Option<BTreeSet<String>> {
        let of = self.samples.iter().filter(|it| family_of(&self.types, &it.name) == family);
        let labels = |sample: &Sample| -> BTreeSet<String> {
            sample.labels.keys().filter(|label| *label != "le").cloned().collect()
        };
        of.map(labels).next()
    }

    /// The value of the sample that has this name and these labels among its own.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &&Sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(label, text)| sample.labels.get(*label).is_some_and(|it| it == text))
        };
        self.samples.iter().find(has).map(|sample| sample.value)
    }

    /// As [`Self::get`], for one that is there.
    ///
    /// # Panics
    /// When it isn't.
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels)
            .unwrap_or_else(|| panic!("no {name} {labels:?} in {:#?}", self.samples))
    }
}

/// The family of a sample with this name.
fn family_of<'a>(types: &BTreeMap<String, String>, name: &'a str) -> &'a str {
    let parts = ["_bucket", "_sum", "_count"].iter().filter_map(|end| name.strip_suffix(end));
    let mut histograms =
        parts.filter(|family| types.get(*family).is_some_and(|kind| kind == "histogram"));
    histograms.next().unwrap_or(name)
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, mut rest)) = series.split_once('{') else {
        return Some(Sample { name: series.to_owned(), labels: BTreeMap::new(), value });
    };
    let mut labels = BTreeMap::new();
    while rest != "}" {
        let (label, quoted) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut letters = quoted.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => text.push(match letters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, letter) => text.push(letter),
            }
        };
        labels.insert(label.trim_start_matches(',').to_owned(), text);
        rest = &quoted[end + 1..];
    }
    Some(Sample { name: name.to_owned(), labels, value })
}

impl Daemon {
    /// Its `/metrics`, over its socket.
    ///
    /// # Panics
    /// When it has none.
    #[track_caller]
    pub fn scrape(&self) -> Scrape {
        let mut stream = connect_unix(&self.socket()).expect("its socket");
        let response =
            exchange(&mut stream, &request("GET", "/metrics", &[], b"")).expect("metrics");
        assert_eq!(response.status, 200, "{}", response.text());
        Scrape::read(&response.text())
    }
}

/// What is answered to a request at this address.
///
/// # Errors
/// When nothing is.
pub fn ask_http(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> std::io::Result<Response> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(super::SHORT))?;
    exchange(&mut stream, &request(method, path, headers, b""))
}
