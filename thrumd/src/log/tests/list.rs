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
