use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::harness::http;

/// A site on another port of loopback, as any program of the machine can have one. It shows its one page at each path,
/// and notes who came.
#[derive(Debug)]
pub struct Site {
    port: u16,
    visits: Arc<Mutex<Vec<Visit>>>,
    page: Arc<Mutex<String>>,
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::new(Mutex::new(Vec::new()));
        let page = Arc::new(Mutex::new(html.to_owned()));
        let (noted, shown) = (visits.clone(), page.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, shown) = (noted.clone(), shown.clone());
                std::thread::spawn(move || answer(stream, &noted, &shown));
            }
        });
        Self { port, visits, page }
    }

    /// Its address, with this name for loopback.
    pub fn at(&self, host: &str) -> String {
        format!("http://{host}:{}/", self.port)
    }

    /// Shows another page from now on.
    ///
    /// # Panics
    /// When one who answers has panicked.
    pub fn shows(&self, html: &str) {
        html.clone_into(&mut self.page.lock().unwrap());
    }

    /// Who came.
    ///
    /// # Panics
    /// When one who answers has panicked.
    pub fn visits(&self) -> Vec<Visit> {
        self.visits.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, noted: &Mutex<Vec<Visit>>, shown: &Mutex<String>) {
    let Ok((head, _)) = http::read_head(&mut stream) else { return };
    let line = head.lines().next().unwrap_or_default().to_owned();
    noted.lock().unwrap().push(Visit { line, head });
    let page = shown.lock().unwrap().clone();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         access-control-allow-origin: *\r\nconnection: close\r\n\r\n",
        page.len()
    );
    let _gone = stream.write_all((head + &page).as_bytes());
}
