use super::*;

async fn list(world: &World, params: EventListParams) -> (Vec<u64>, u64, bool) {
    let list = world.log.list(params).await.unwrap();
    let places = list.events.iter().map(|event| event.sequence.0).collect();
    (places, list.next.0, list.more_available)
}

#[tokio::test]
async fn a_list_is_filtered_by_type_and_project_and_can_be_the_newest() {
    let world = World::new();
    for n in 0..12 {
        let mut draft = draft("x");
        if n % 2 == 0 {
            draft.event_type = "even".into();
        }
        if n % 3 == 0 {
            draft.project = Some("three".into());
        }
        world.log.append(vec![draft]).await.unwrap();
    }
    let with = |change: &dyn Fn(&mut EventListParams)| {
        let mut params = EventListParams::default();
        change(&mut params);
        params
    };
    assert_eq!(list(&world, with(&|_| ())).await, ((1..=12).collect(), 12, false));
    assert_eq!(list(&world, with(&|p| p.limit = Some(5))).await, (vec![1, 2, 3, 4, 5], 5, true));
    assert_eq!(
        list(&world, with(&|p| p.event_type = Some("even".into()))).await,
        (vec![1, 3, 5, 7, 9, 11], 12, false)
    );
    let both = |p: &mut EventListParams| {
        p.event_type = Some("even".into());
        p.project = Some("three".into());
    };
    assert_eq!(list(&world, with(&both)).await, (vec![1, 7], 12, false));
    assert_eq!(
        list(
            &world,
            with(&|p| {
                both(p);
                p.newest = true;
                p.limit = Some(1);
            })
        )
        .await,
        (vec![7], 12, false)
    );
    assert_eq!(
        list(
            &world,
            with(&|p| {
                p.newest = true;
                p.limit = Some(3);
                p.after = Sequence(10);
            })
        )
        .await,
        (vec![11, 12], 12, false)
    );
    assert_eq!(list(&world, with(&|p| p.after = Sequence(99))).await, (vec![], 99, false));
}

#[tokio::test]
async fn the_figures_count_events_and_bytes() {
    let world = World::new();
    world.say_many(10).await;
    let stats = world.log.stats().await.unwrap();
    assert_eq!((stats.events, stats.quarantined), (10, 0));
    assert!(stats.size_bytes > 4096);
}

/// Events whose types and projects are rare, usual and long, over many blocks.
async fn mixed(world: &World) -> Vec<(Option<String>, Option<String>)> {
    let long = "x".repeat(2000);
    let mut names = Vec::new();
    for n in 0..1000_u64 {
        let event_type = match n {
            3 | 500 | 501 | 999 => "rare",
            600..610 => &long,
            n if n % 7 == 0 => "other",
            _ => "usual",
        };
        let project = match n {
            400..420 | 501 => Some("quiet"),
            n if n / 100 % 2 == 0 => Some("busy"),
            _ => None,
        };
        names.push((Some(event_type.to_owned()), project.map(str::to_owned)));
    }
    let origin = new_origin();
    for (index, chunk) in names.chunks(90).enumerate() {
        let events: Vec<_> = chunk
            .iter()
            .zip(index * 90 + 1..)
            .map(|((event_type, project), position)| {
                let mut event: serde_json::Value =
                    serde_json::from_str(&foreign(origin, position as u64)).unwrap();
                event["type"] = event_type.clone().into();
                if let Some(project) = project {
                    event["project"] = project.clone().into();
                }
                event.to_string()
            })
            .collect();
        world.log.apply(raw_batch(testing::daemon(), &events)).await.unwrap();
    }
    names
}

/// All events, page by page from the end of the log; in the order of the log.
async fn pages_before(world: &World, mut params: EventListParams) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let (mut page, next, more) = list(world, params.clone()).await;
        let end = params.before.map_or(1000, |before| before.0 - 1);
        assert_eq!((next, more), (end, false));
        let Some(first) = page.first().copied() else { return found };
        params.before = Some(Sequence(first));
        page.append(&mut found);
        assert!(page.len() <= 1000, "pages without an end");
        found = page;
    }
}

#[tokio::test]
async fn before_is_refused_without_newest() {
    let world = World::new();
    world.say_many(3).await;
    let before = |newest, before| EventListParams {
        newest,
        before: Some(Sequence(before)),
        ..EventListParams::default()
    };
    assert_eq!(list(&world, before(true, 3)).await, (vec![1, 2], 2, false));
    assert_eq!(list(&world, before(true, 0)).await, (vec![], 0, false));
    assert_eq!(list(&world, before(true, u64::MAX)).await, (vec![1, 2, 3], 3, false));
    let refused = world.log.list(before(false, 3)).await.unwrap_err();
    assert_eq!(refused.kind(), LogErrorKind::Invalid);
    assert!(refused.to_string().contains("`newest`"), "{refused}");
    assert!(world.log.list_newest(&before(true, 3)).is_none(), "the database is asked");
}

#[tokio::test]
async fn a_filtered_list_has_exactly_the_events_of_its_names_page_by_page_and_backwards() {
    let mut world = World::new();
    let names = mixed(&world).await;
    world.reopen(|_| ()).await;
    let types = [None, Some("rare"), Some("usual"), Some("other"), Some("none"), Some("long")];
    for event_type in types {
        let event_type = event_type.map(|name| name.replace("long", &"x".repeat(2000)));
        for project in [None, Some("quiet"), Some("busy"), Some("none")] {
            let (event_type, project) = (event_type.clone(), project.map(str::to_owned));
            let wanted =
                |(n, (held_type, held_project)): (usize, &(Option<String>, Option<String>))| {
                    let is = |held: &Option<String>, wanted: &Option<String>| {
                        wanted.is_none() || held == wanted
                    };
                    let is_wanted = is(held_type, &event_type) && is(held_project, &project);
                    is_wanted.then_some(n as u64 + 1)
                };
            let expected: Vec<u64> = names.iter().enumerate().filter_map(wanted).collect();
            let params = |after, limit, newest| EventListParams {
                after: Sequence(after),
                limit: Some(limit),
                newest,
                before: None,
                event_type: event_type.clone(),
                project: project.clone(),
            };
            for limit in [1, 3, 1000] {
                let (mut found, mut after, mut more) = (Vec::new(), 0, true);
                while more {
                    let page = list(&world, params(after, limit, false)).await;
                    found.extend(page.0);
                    (after, more) = (page.1, page.2);
                }
                assert_eq!(
                    (&found, after),
                    (&expected, 1000),
                    "{event_type:?} {project:?} {limit}"
                );
                for after in [0, 128, 500, 999, 1000] {
                    let newest = list(&world, params(after, limit, true)).await;
                    let later = expected.iter().copied().filter(|n| *n > after);
                    let later: Vec<u64> = later.collect();
                    let first = later.len().saturating_sub(limit as usize);
                    assert_eq!(newest, (later[first..].to_vec(), 1000, false), "after {after}");
                }
                let backwards = pages_before(&world, params(0, limit, true)).await;
                assert_eq!(backwards, expected, "{event_type:?} {project:?} {limit}");
            }
        }
    }
    check_invariants(&world);
    let (sql, head) = (world.sql(), world.log.head());
    check::holds_all(&sql, head).unwrap();
    sql.execute("DELETE FROM blocks WHERE name = 'rare' AND block = 3", []).unwrap();
    check::holds_all(&sql, head).unwrap_err();
}

#[tokio::test]
async fn while_long_lists_and_copies_are_read_sync_views_and_short_questions_are_answered() {
    let world = World::new();
    world.say("x").await;
    let (ends, waits): (Vec<_>, Vec<_>) = (0..3).map(|_| std::sync::mpsc::channel::<()>()).unzip();
    let (begun, mut begins) = tokio::sync::mpsc::channel(3);
    // More of them than are read at a time.
    let lists: Vec<_> = waits
        .into_iter()
        .map(|wait| {
            let (log, begun) = (world.log.clone(), begun.clone());
            let read = move |_: &Connection| {
                begun.blocking_send(()).unwrap();
                // Until the other end is dropped.
                assert!(wait.recv().is_err());
                Ok(())
            };
            tokio::spawn(async move { log.read(readers::Lane::Lists, "list events", read).await })
        })
        .collect();
    begins.recv().await.unwrap();
    begins.recv().await.unwrap();
    let position = world.log.head().position;
    let others = async {
        assert_eq!(world.log.stats().await.unwrap().events, 1);
        assert_eq!(world.log.heads(Sequence::ZERO).await.unwrap().len(), 1);
        assert!(world.log.holds(position).await.unwrap());
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, others).await.expect("they wait for the lists");
    drop(ends);
    for list in lists {
        list.await.unwrap().unwrap();
    }
}
