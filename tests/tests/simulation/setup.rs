//! How a day begins: which machines there are, and who is paired with whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use thrum_api::Token;
use thrumd::config::Cadence;
use thrumd::peer::Registry;
use thrumd::sync::hub::Timing;

use crate::choices::Choices;
use crate::hostile::Hostile;
use crate::log::{Ids, SimLog};
use crate::marks::Marks;
use crate::net::Net;
use crate::node::Node;
use crate::trace::Trace;
use crate::world::World;

impl World {
    /// 2 to 4 machines, connected somehow, on a bad day.
    pub fn new(seed: u64) -> Self {
        Self::bad(seed, None)
    }

    /// The same beside a hostile one, which is paired with at least one of them. They don't need it: they are connected
    /// without it.
    pub fn with_hostile(seed: u64) -> Self {
        Self::bad(seed, Some(Hostile::new(seed)))
    }

    fn bad(seed: u64, mut hostile: Option<Hostile>) -> Self {
        let mut choices = Choices::new(seed);
        let count = 2 + choices.index(3);
        let mut edges = Vec::new();
        for node in 1..count {
            edges.push((choices.index(node), node));
            for other in 0..node {
                if !edges.contains(&(other, node)) && choices.percent(50) {
                    edges.push((other, node));
                }
            }
        }
        if let Some(hostile) = &mut hostile {
            let first = hostile.choices.index(count);
            for node in 0..count {
                if node == first || hostile.choices.percent(70) {
                    edges.push((node, count));
                }
            }
        }
        let net = Net::bad(&mut choices);
        let all = count + usize::from(hostile.is_some());
        let mut world = Self::build(seed, choices, net, all, &edges);
        world.hostile = hostile;
        world.page_limit = Some(world.choices.of(&[5, 5, 1, 40]));
        if world.choices.percent(12) {
            let old = world.choices.index(count);
            world.nodes[old].old = true;
        }
        // Costs as much as many cases, and has to be among any 160 of them.
        if seed.is_multiple_of(40) {
            // One page has all of them: each request tells 1000 heads.
            world.page_limit = None;
            let ids = world.ids.clone();
            let node = world.choices.index(count);
            world.nodes[node].log.fill(1003, &ids);
            world.marks.hit("a log of more than 1000 origins");
        }
        world.prepare_hostile();
        (0..all).for_each(|node| world.start(node));
        world
    }

    /// These machines and pairings, and a network without faults.
    pub fn quiet(count: usize, edges: &[(usize, usize)]) -> Self {
        let mut world = Self::build(0, Choices::none(), Net::quiet(), count, edges);
        (0..count).for_each(|node| world.start(node));
        world
    }

    fn build(
        seed: u64,
        choices: Choices,
        net: Net,
        count: usize,
        edges: &[(usize, usize)],
    ) -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let dir = dir.unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let ids = Ids::default();
        let node = |number: usize| {
            let key = ids.key();
            let state_dir = dir.path().join(number.to_string());
            std::fs::create_dir(&state_dir).unwrap();
            let log = SimLog::new(Arc::clone(&key), &ids);
            let first_epoch = log.store().head().epoch;
            Node {
                id: key.id(),
                number,
                first_epoch,
                log,
                registry: Registry::open(&state_dir).unwrap().0,
                backup: None,
                acknowledged: Default::default(),
                life: None,
                lives: 0,
                peers: Vec::new(),
                old: false,
                disk_changed: false,
                asleep: None,
                postponed: Vec::new(),
            }
        };
        let mut nodes: Vec<Node> = (0..count).map(node).collect();
        for (n, (a, b)) in edges.iter().enumerate() {
            let token = Token::from_bytes(&[u8::try_from(n).unwrap(); 32]);
            for (of, peer) in [(*a, *b), (*b, *a)] {
                let peer_entry = nodes[peer].as_peer(token.clone(), false);
                runtime.block_on(nodes[of].registry.put(peer_entry)).unwrap();
                nodes[of].peers.push(peer);
            }
        }
        let cadence =
            Cadence { interval: Duration::from_secs(300), recent: Duration::from_secs(120) };
        Self {
            now: 0,
            nodes,
            net,
            choices,
            marks: Marks::default(),
            trace: Trace::default(),
            ids,
            received: 0,
            duplicates: 0,
            requests: 0,
            written: 0,
            timing: Timing::new(cadence),
            page_limit: Some(5),
            seed,
            calls: 0,
            truth: BTreeSet::new(),
            hostile: None,
            disks_are_kept: false,
            coming: BTreeMap::new(),
            order: 0,
            runtime,
            _dir: dir,
        }
    }
}
