//! Three machines whose links fail at random.

use std::time::{Duration, Instant};

use tests::harness::{Dice, LONG, converge, number};
use tests::tailnet::{Cluster, Tailnet, sealed};

const NAMES: [&str; 3] = ["a", "b", "c"];
/// `THRUM_TEST_STORM` (seconds) asks for another span.
const SECONDS: u64 = 120;

/// One thing that goes wrong; its words.
fn fail(tailnet: &Tailnet, dice: &mut Dice) -> String {
    let one = dice.below(3) as usize;
    let (a, b, c) = (NAMES[one], NAMES[(one + 1) % 3], NAMES[(one + 2) % 3]);
    match dice.below(6) {
        0 => {
            tailnet.cut(a, b);
            format!("{a} and {b} cut")
        }
        1 => {
            tailnet.isolate(a);
            format!("{a} alone")
        }
        2 => {
            tailnet.set_link(a, false);
            format!("link of {a} down")
        }
        3 => {
            tailnet.block(a, b);
            format!("{a} and {b} through the relay")
        }
        4 => {
            tailnet.lose_percent(a, b, 30);
            tailnet.lose_percent(b, c, 30);
            format!("three of ten packets lost between {a}, {b} and {c}")
        }
        _ => {
            tailnet.node(a).stop(rustix::process::Signal::KILL);
            format!("tailscaled of {a} killed")
        }
    }
}

fn mend(tailnet: &Tailnet) {
    tailnet.heal();
    for name in NAMES {
        tailnet.set_link(name, true);
        if !tailnet.node(name).is_started() {
            tailnet.node(name).start();
        }
    }
}

#[test]
fn three_daemons_whose_links_fail_at_random_end_with_one_log() {
    sealed(|programs| {
        let span = Duration::from_secs(number("THRUM_TEST_STORM").unwrap_or(SECONDS));
        let cluster = Cluster::of(programs, &NAMES);
        cluster.pair("a", "b");
        cluster.pair("b", "c");
        cluster.pair("c", "a");
        let begun = Instant::now();
        let mut dice = Dice::seeded();
        let mut written = 0;
        while begun.elapsed() < span {
            let what = fail(&cluster.tailnet, &mut dice);
            println!("{:5.1} s: {what}", begun.elapsed().as_secs_f32());
            // Random spans, here and after the mending: links fail and heal at any point of an exchange.
            for _ in 0..dice.below(4) + 1 {
                let writer = cluster.daemon(NAMES[dice.below(3) as usize]);
                let count = dice.below(40) + 1;
                writer.append((0..count).map(|number| format!("{what} {number}")));
                written += count as usize;
                std::thread::sleep(Duration::from_millis(100 + dice.below(700)));
            }
            mend(&cluster.tailnet);
            std::thread::sleep(Duration::from_millis(dice.below(1500)));
        }
        let calm = Instant::now();
        let daemons = NAMES.map(|name| cluster.daemon(name));
        assert_eq!(converge(LONG + LONG, &daemons), written);
        println!("{written} events, one log {:.1?} after the storm", calm.elapsed());
    });
}
