use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::harness::http;

/// A site on another port of loopback, as any program of the machine can have one. It shows its page at each path for which
/// it has nothing else, and notes who came.
#[derive(Debug)]
pub struct Site {
    port: u16,
    visits: Arc<Mutex<Vec<Visit>>>,
}

#[derive(Debug)]
struct Shown {
    page: String,
    /// Type and text, by path.
    files: BTreeMap<String, (String, String)>,
}

/// A request that came to a [`Site`].
#[derive(Debug, Clone)]
pub struct Visit {
    /// Its first line.
    pub line: String,
    /// Its head, with that line.
    pub head: String,
}

impl Site {
    /// A site with this HTML.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn with_page(html: &str) -> Self {
        Self::with_files(html, BTreeMap::new())
    }

    /// A site with this HTML, and with these types and texts at other paths.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn with_files(html: &str, files: BTreeMap<String, (String, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::new(Shown { page: html.to_owned(), files });
        let noted = visits.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, shown) = (noted.clone(), shown.clone());
                std::thread::spawn(move || answer(stream, &noted, &shown));
            }
        });
        Self { port, visits }
    }

    /// Its address, with this name for loopback.
    pub fn at(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.port)
    }

    /// Who came.
    ///
    /// # Panics
    /// When one who answers has panicked.
    pub fn visits(&self) -> Vec<Visit> {
        self.visits.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, noted: &Mutex<Vec<Visit>>, shown: &Shown) {
    let Ok((head, _)) = http::read_head(&mut stream) else { return };
    let line = head.lines().next().unwrap_or_default().to_owned();
    let path = line.split(' ').nth(1).unwrap_or_default();
    let (kind, text) = match shown.files.get(path) {
        Some((kind, text)) => (kind.as_str(), text),
        None => ("text/html; charset=utf-8", &shown.page),
    };
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         access-control-allow-origin: *\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    noted.lock().unwrap().push(Visit { line, head });
    let _gone = stream.write_all(answer.as_bytes());
}
