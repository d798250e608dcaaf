//! Many peers that keep their connection, against few.

use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Daemon, KeptCaller, Setup};

/// More than a daemon with the usual limit of open files keeps connections of.
const MANY: u16 = 300;
const FEW: u16 = 10;

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let many = if size == Size::Full { MANY } else { 2 * FEW };
    let rounds = size.of(20);
    tell(&format!("slots: pairing {FEW} and {many} machines"));
    let (mut few, mut crowd) = (Hub::with(FEW), Hub::with(many));
    tell(&format!("slots: {rounds} requests of each"));
    let (mut of_few, mut of_many) = (Sample::default(), Sample::default());
    for number in 0..rounds * usize::from(many) {
        few.ask(number, &mut of_few);
        crowd.ask(number, &mut of_many);
    }
    vec![Figure::new(
        "slots_request",
        "a request of each of 300 peers in turn, against of each of 10",
        (of_many.median() / of_few.median(), "x"),
        Target::AtMost(1.3),
        format!("{} of {many}, {} of {FEW}", words(of_many.median()), words(of_few.median())),
    )]
}

struct Hub {
    machines: Vec<KeptCaller>,
    _daemon: Daemon,
}

impl Hub {
    fn with(count: u16) -> Self {
        // As the unit of the service has it.
        let script = "ulimit -S -n 1024 && ulimit -H -n 8192 && exec \"$@\"";
        let daemon =
            Setup::new("hub").env("THRUM_LOG", "warn").through(["sh", "-c", script, "sh"]).start();
        let machines = (0..count).map(|number| KeptCaller::pair(&daemon, number)).collect();
        Self { machines, _daemon: daemon }
    }

    /// A request of one of them, over its connection or, if that has ended, a new one.
    fn ask(&mut self, number: usize, sample: &mut Sample) {
        let index = number % self.machines.len();
        let machine = &mut self.machines[index];
        sample.time(|| machine.ask().or_else(|_| machine.connect()).expect("an answer"));
    }
}
