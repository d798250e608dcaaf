//! Many peers that keep their connection.

use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Daemon, KeptCaller, Setup};

/// More than a daemon with the usual limit of open files keeps connections of.
const MANY: u16 = 300;

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let many = if size == Size::Full { MANY } else { 20 };
    let rounds = size.of(20);
    tell(&format!("slots: pairing {many} machines"));
    let mut hub = Hub::with(many);
    tell(&format!("slots: {rounds} requests of each"));
    for number in 0..rounds * usize::from(many) {
        hub.ask(number);
    }
    let asked = hub.requests.len();
    vec![Figure::new(
        "slots_reconnects",
        "requests of 300 peers in turn that need a new connection, of all",
        (hub.reconnects as f64 / asked as f64, ""),
        Target::AtMost(0.01),
        format!("{} of {asked}, {} a request", hub.reconnects, words(hub.requests.median())),
    )]
}

struct Hub {
    machines: Vec<KeptCaller>,
    requests: Sample,
    reconnects: usize,
    _daemon: Daemon,
}

impl Hub {
    fn with(count: u16) -> Self {
        // As the unit of the service has it.
        let script = "ulimit -S -n 1024 && ulimit -H -n 8192 && exec \"$@\"";
        let daemon =
            Setup::new("hub").env("THRUM_LOG", "warn").through(["sh", "-c", script, "sh"]).start();
        let machines = (0..count).map(|number| KeptCaller::pair(&daemon, number)).collect();
        Self { machines, requests: Sample::default(), reconnects: 0, _daemon: daemon }
    }

    /// A request of one of them, over its connection or, if that has ended, a new one.
    fn ask(&mut self, number: usize) {
        let index = number % self.machines.len();
        let machine = &mut self.machines[index];
        let reconnects = &mut self.reconnects;
        self.requests
            .time(|| {
                machine.ask().or_else(|_| {
                    *reconnects += 1;
                    machine.connect()
                })
            })
            .expect("an answer");
    }
}
