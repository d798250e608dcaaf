//! Random histories: never more than an event in five seconds, and in the end others know how it is.

use std::collections::BTreeMap;

use arbtest::arbitrary::{Result, Unstructured};

use super::*;

const AGENTS: [&str; 3] = ["a", "b", "c"];
const IDS: [&str; 3] = ["s", "t", "wait-1"];

#[derive(Default)]
struct Heard {
    /// When an agent's last event was written, and what it says.
    last: BTreeMap<AgentKey, (Option<Instant>, Vec<SessionInfo>)>,
}

impl Heard {
    fn take(&mut self, due: Vec<Due>, at: Instant) {
        for Due { key, sessions } in due {
            let (before, said) = self.last.entry(key.clone()).or_default();
            if let Some(before) = before.replace(at) {
                assert!(at.duration_since(before) >= 5 * SECOND, "{key:?} {:?}", at - before);
            }
            assert_ne!(*said, sessions, "{key:?} is told again what is known");
            *said = sessions;
        }
    }
}

fn change(input: &mut Unstructured<'_>) -> Result<Change> {
    use SessionState::{Idle, NeedsYou, Waiting, Working};
    let state = *input.choose(&[None, Some(Idle), Some(Working), Some(NeedsYou), Some(Waiting)])?;
    let task = input.choose(&[None, Some("x"), Some("y"), Some("")])?.map(str::to_owned);
    Ok(Change { state, task, ..Change::default() })
}

fn step(desk: &mut Desk, heard: &mut Heard, input: &mut Unstructured<'_>) -> Result<()> {
    let key = key(input.choose(&AGENTS)?);
    let id = *input.choose(&IDS)?;
    let number = input.int_in_range(0..=3_u8)?;
    let now = desk.now;
    match input.int_in_range(0..=9)? {
        0 | 1 => {
            let keeper =
                if number < 2 { process(number.into()) } else { connection(number.into()) };
            drop(desk.book.start(&key, id.to_owned(), &change(input)?, keeper, now));
        }
        2 => drop(desk.book.update(&key, Some(id), &change(input)?, now)),
        3 => drop(desk.book.end(&key, Some(id), now)),
        4 => {
            desk.book.keeper_ended(&key, id, u64::from(number) + 1000 * u64::from(number / 2), now)
        }
        5 => drop(desk.began(&key, Some(id).filter(|_| number < 2), number.into())),
        6 => desk.wait_ends_of(&key, id),
        7 => {
            let taken = desk.book.take_due(2, now);
            desk.book.failed(&taken, now.at + u32::from(number) * SECOND, now);
        }
        _ => {
            desk.pass(Duration::from_millis(input.int_in_range(0..=7000)?));
            heard.take(desk.due(), desk.now.at);
        }
    }
    Ok(())
}

#[test]
fn others_know_in_the_end_how_it_is_and_are_told_seldom() {
    arbtest::arbtest(|input| {
        let mut desk = Desk::new();
        let mut heard = Heard::default();
        while !input.is_empty() {
            step(&mut desk, &mut heard, input)?;
        }
        while let Some(at) = desk.book.next_due() {
            desk.pass(at.saturating_duration_since(desk.now.at));
            heard.take(desk.due(), desk.now.at);
        }
        for (key, entry) in &desk.book.agents {
            let said = heard.last.get(key).map_or(&[][..], |(_, said)| said);
            assert_eq!(said, entry.shown(), "{key:?}");
        }
        let count: usize = desk.book.agents.values().map(|entry| entry.sessions.len()).sum();
        assert_eq!(desk.book.count, count);
        Ok(())
    });
}
