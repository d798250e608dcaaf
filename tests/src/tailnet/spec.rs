/// What a node is to be.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    pub(super) name: String,
    pub(super) tun: bool,
    pub(super) bare: bool,
    pub(super) owner: String,
}

impl NodeSpec {
    /// A node of the user `test` with a network interface of its own.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), tun: true, bare: false, owner: "test".to_owned() }
    }

    /// Without an interface: tailscaled speaks for it, in userspace.
    #[must_use]
    pub fn userspace(mut self) -> Self {
        self.tun = false;
        self
    }

    /// Without a tailscaled, and so not in the tailnet.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.tun = false;
        self.bare = true;
        self
    }

    /// Of this user, or with this `tag:NAME`.
    #[must_use]
    pub fn of(mut self, owner: &str) -> Self {
        owner.clone_into(&mut self.owner);
        self
    }
}
