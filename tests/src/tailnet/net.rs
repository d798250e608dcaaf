use super::programs::run;
use super::{Control, Node, NodeSpec, Programs, TAILNET_LIMIT, control};
use crate::harness::{eventually, holds};

/// A tailnet. Everything of it ends when it is dropped.
#[derive(Debug)]
pub struct Tailnet {
    /// Its control server and relay.
    pub control: Control,
    nodes: Vec<Node>,
    _folder: tempfile::TempDir,
}

impl Tailnet {
    /// A tailnet of these nodes of one user, each with an interface.
    ///
    /// # Panics
    /// When it doesn't come up.
    #[track_caller]
    pub fn of(programs: &Programs, names: &[&str]) -> Self {
        Self::up(programs, names.iter().map(|name| NodeSpec::new(name)))
    }

    /// Starts a tailnet, and waits until all of its nodes see each other.
    ///
    /// # Panics
    /// When it doesn't come up.
    #[track_caller]
    pub fn up(programs: &Programs, specs: impl IntoIterator<Item = NodeSpec>) -> Self {
        run(
            "ip",
            &["link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0"],
        )
        .unwrap();
        run("ip", &["addr", "add", &format!("{}/24", control::ADDRESS), "dev", "br0"]).unwrap();
        run("ip", &["link", "set", "br0", "up"]).unwrap();
        // Short: paths of Unix sockets end at 107 bytes.
        let folder = tempfile::Builder::new().prefix("tn-").tempdir_in("/tmp").unwrap();
        let control = Control::start_in(folder.path(), programs);
        let nodes: Vec<_> = specs
            .into_iter()
            .enumerate()
            .map(|(index, spec)| {
                let node = Node::new(spec, index + 1, folder.path(), programs);
                if !node.is_bare() {
                    node.start();
                    // One after the other, so that the first node gets the first address.
                    node.log_in(&control.auth_key(node.owner()));
                }
                node
            })
            .collect();
        let tailnet = Self { control, nodes, _folder: folder };
        tailnet.settle();
        tailnet
    }

    /// A node by its name.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name() == name).expect("a node of this name")
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Waits until every started node polls the control server and sees the others. After the
    /// control server was away that takes 5 to 10 s.
    ///
    /// # Panics
    /// When they don't.
    #[track_caller]
    pub fn settle(&self) {
        let started: Vec<_> = self.nodes.iter().filter(|node| node.is_started()).collect();
        eventually(TAILNET_LIMIT, || {
            let online = self.control.online();
            holds(online >= started.len(), || format!("{online} nodes poll headscale"))?;
            started.iter().try_for_each(|node| node.sees(started.len() - 1))
        });
    }

    /// Makes every path direct, both ways; to be done before anything is said about paths.
    ///
    /// # Panics
    /// When a path stays with the relay.
    #[track_caller]
    pub fn make_direct(&self) {
        for from in self.nodes.iter().filter(|node| node.is_started()) {
            let others = self.nodes.iter().filter(|node| node.name() != from.name());
            for to in others.filter(|node| node.is_started()) {
                let words = ["ping", "--until-direct", "--timeout=2s", "-c", "20", to.name()];
                from.tailscale_in_the_end(&words);
            }
        }
    }
}
