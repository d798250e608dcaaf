//! Two paired daemons whose metrics can be scraped, in a state in which every family has a value.

use std::net::{SocketAddr, TcpStream};

use tests::harness::{Client, Daemon, Port, SHORT, Setup, eventually, holds, http, in_sync, pair};

/// The daemons `laptop` and `server`. An agent of the laptop has not read what one of the server wrote.
pub struct Pair {
    /// Kept for its metrics.
    _laptop: Daemon,
    pub server: Daemon,
    /// Where each is scraped.
    pub ports: [Port; 2],
    /// The metrics of the laptop, with all of them: those of unread messages are left out while they can't be counted fast.
    pub metrics: String,
}

impl Pair {
    pub fn start() -> Self {
        let ports = [Port::take(), Port::take()];
        let daemon = |name: &str, port: &Port| {
            let listen = format!("127.0.0.1:{}", port.number());
            Setup::new(name).look_every_ms(200).env("THRUM_METRICS_LISTEN", listen).start()
        };
        let (laptop, server) = (daemon("laptop", &ports[0]), daemon("server", &ports[1]));
        pair(&laptop, &server);
        let say = |daemon: &Daemon, words: &[&str]| {
            Client::new(daemon).env("THRUM_PROJECT", "p").run(words).exits(0);
        };
        say(&laptop, &["send", "--as", "coder", "planner", "is it done?"]);
        eventually(SHORT, || server.has_agent("coder"));
        say(&server, &["send", "--as", "planner", "coder", "not yet"]);
        in_sync(&[&laptop, &server]);
        let metrics = eventually(SHORT, || {
            let text = scraped(address(&ports[0]));
            let unread = "\nthrumd_unread_messages 1\n";
            holds(text.contains(unread), || format!("the message is not there: {text}"))?;
            Ok(text)
        });
        Self { _laptop: laptop, server, ports, metrics }
    }

    /// The addresses that are scraped.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        [0, 1].map(|index| address(&self.ports[index]))
    }
}

fn address(port: &Port) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port.number()))
}

fn scraped(address: SocketAddr) -> String {
    let host = address.to_string();
    let request = http::request("GET", "/metrics", &[("host", &host)], b"");
    let mut stream = TcpStream::connect(address).unwrap();
    let response = http::exchange(&mut stream, &request).unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    response.text()
}
