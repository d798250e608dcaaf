//! What a daemon takes over of other machines' events is what these have signed.

use tests::harness::{Daemon, FakePeer, Origin, SHORT, converge, eventually, holds, pair};
use thrum_api::peer::{PullParams, SyncPull};
use thrum_api::{EventHeader, Origin as OriginId, OriginSequence, Sequence};
use thrumd::keys::verify;
use thrumd::proof::{chain_next, chain_start, point_message};

use crate::pages::{beside, empty, fakes, others_go_on, page};

#[test]
fn a_run_that_is_not_signed_as_it_is_goes_to_quarantine_and_the_others_are_stored() {
    let (origin, fakes) = fakes(9);
    let mut changed = fakes[1].clone();
    changed.text = changed.text.replace("fake 2", "fake Z");
    let runs = vec![
        origin.run(&fakes[..1]),
        origin.run(&[changed]),
        Origin::new().run(&fakes[2..4]),
        origin.run(&[fakes[4].clone(), fakes[6].clone()]),
        origin.run(&fakes[7..9]),
    ];
    let (daemon, honest, fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(runs.clone(), 9, false),
        _ => empty(9),
    });
    eventually(SHORT, || {
        let texts = daemon.texts();
        holds(texts == ["fake 1", "fake 8", "fake 9"], || format!("{texts:?}"))
    });
    assert_eq!(daemon.status().log.quarantined, 3);
    eventually(SHORT, || {
        let reported = daemon.log_text();
        holds(reported.contains("did not sign"), || reported)
    });
    others_go_on(&daemon, &honest);
    daemon.peer(fake.id()).unwrap();
}

#[test]
fn two_events_at_one_position_of_an_origin_are_both_kept_also_with_one_id() {
    let (mut origin, mut events) = fakes(1);
    let mut again = origin.clone();
    events.push(origin.note("fake 2"));
    events.push(again.note("another text"));
    let mut second = Origin::new();
    let draft = second.draft(r#"{"text":"the same id"}"#);
    let id = |event: &str| event[13..39].to_owned();
    let other = second.write(draft.replace(&id(&draft), &id(&events[0].text)));
    let runs = vec![origin.run(&events[..2]), again.run(&events[2..]), second.run(&[other.at(4)])];
    let (daemon, honest, _fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(runs.clone(), 4, false),
        _ => empty(4),
    });
    for holder in [&daemon, &honest] {
        eventually(SHORT, || {
            let mut texts = holder.texts();
            texts.sort();
            let wanted = ["another text", "fake 1", "fake 2", "the same id"];
            holds(texts == wanted, || format!("{texts:?}"))
        });
    }
    assert_eq!(daemon.status().log.quarantined, 0);
    others_go_on(&daemon, &honest);
}

#[test]
fn each_run_of_a_page_is_proved_also_of_what_is_relayed() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    pair(&laptop, &server);
    for n in 0..4 {
        laptop.append([n]);
        server.append([n]);
    }
    converge(SHORT, &[&laptop, &server]);
    let mut fake = FakePeer::honest();
    fake.joins(&laptop);
    for limit in [1, 3, 1000] {
        let (mut params, mut count) = (PullParams { limit: Some(limit), ..Default::default() }, 0);
        loop {
            let page = fake.caller(&laptop).call::<SyncPull>(&params).unwrap();
            for run in &page.runs {
                let mut chain = run.previous;
                let mut last: Option<(OriginId, OriginSequence)> = None;
                for event in &run.events {
                    let header: EventHeader = serde_json::from_str(event.event.get()).unwrap();
                    let (origin, place) = (header.origin(), header.origin_sequence);
                    match last {
                        None if place.0 == 1 => assert_eq!(chain, chain_start(&origin)),
                        None => {}
                        Some(before) => assert_eq!(before, (origin, OriginSequence(place.0 - 1))),
                    }
                    chain = chain_next(chain, event.event.get().as_bytes());
                    last = Some((origin, place));
                }
                let (origin, place) = last.expect("an event");
                let message = point_message(&origin, place, chain);
                verify(origin.daemon.to_bytes(), &message, &run.signature).unwrap();
                count += run.events.len();
            }
            (params.after_seq, params.after_hash) = (page.next_seq, page.next_hash);
            if !page.more_available {
                break;
            }
        }
        assert_eq!((count, params.after_seq), (8, Sequence(8)), "pages of {limit}");
    }
}
