use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use thrum_api::local::Health;
use thrum_api::{Empty, envelope};

use super::bootstrap::{fill, setup};
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Daemon, connect_unix, http, process};

const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let count = size.of(20);
    tell(&format!("start: {count} times"));
    let mut daemon = setup("started").start();
    fill(&daemon, size.of(20_000));
    daemon.stop();
    let (mut ours, mut nothing) = (Sample::default(), Sample::default());
    for _ in 0..count {
        ours.push(once(&daemon));
        let mut command = std::process::Command::new("/bin/true");
        nothing.time(|| command.status().expect("/bin/true"));
    }
    vec![Figure::new(
        "start",
        "from exec to the first answered health call",
        (ours.median() * 1e3, "ms"),
        Target::AtMost(30.0),
        format!("{} for /bin/true", words(nothing.median())),
    )]
}

fn once(daemon: &Daemon) -> Duration {
    let mut command = daemon.command();
    command.stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().expect("thrumd starts");
    while let Err(error) = health(daemon) {
        assert!(start.elapsed() < LIMIT, "thrumd does not answer: {error}");
        std::thread::sleep(Duration::from_micros(200));
    }
    let took = start.elapsed();
    process::signal(child.id(), Signal::TERM);
    child.wait().expect("thrumd ends");
    took
}

fn health(daemon: &Daemon) -> io::Result<()> {
    let mut stream = connect_unix(&daemon.socket())?;
    stream.set_read_timeout(Some(LIMIT))?;
    let body = envelope::request::<Health>(1, &Empty {})?;
    let headers = [("content-type", "application/json")];
    let response = http::exchange(&mut stream, &http::request("POST", "/rpc", &headers, &body))?;
    match response.status {
        200 => Ok(()),
        status => Err(io::Error::other(format!("status {status}"))),
    }
}
