use std::collections::BTreeMap;

/// Rare paths. A run that never came along one of them doesn't test what it claims.
const PATHS: &[&str] = &[
    "an answer was lost",
    "a request came twice",
    "a page was pipelined",
    "a page was not applied",
    "a crash in the middle of a pull",
    "a rerun after single flight",
    "a duplicate by relay",
    "a window was applied",
    "a window and the checkpoint in one",
    "a checkpoint moved without a pull",
    "a notification led to a pull",
    "a pull waited for the triangle",
    "relayed news waited",
    "an echo waited",
    "a back-off",
    "a back-off was ended by a call",
    "a checkpoint was refused",
    "a checkpoint was reset",
    "an epoch began",
    "an origin forked",
    "a database was lost",
    "a database was restored",
    "own events came back",
    "a periodic pull",
    "a closed connection led to a pull",
    "a token was refused",
    "a peer was removed",
    "a peer was told of its removal",
    "a goodbye arrived",
    "a peer was paired again",
    "a pairing was stored",
    "a join was undone",
    "a join was left open",
    "a pairing was confirmed by a later contact",
    "a pairing was dropped by a later contact",
    "a row was damaged",
    "a damaged row was found",
    "the disk was full",
    "a machine slept",
    "a log of more than 1000 origins",
    "an older peer was pulled",
    "only the hash showed that a checkpoint is of another log",
    "a daemon drained",
    "a drain was confirmed",
    "a drain gave up",
];

/// Those of a day beside a hostile machine.
const HOSTILE_PATHS: &[&str] = &[
    "a forgery was refused",
    "a bad answer was noticed",
    "a new origin was withheld",
    "an origin of the hostile one forked",
    "an origin of the hostile one has a hole",
    "an id was given twice",
];

/// How often each was reached; of several cases, in how many.
#[derive(Debug, Default, Clone)]
pub struct Marks(BTreeMap<&'static str, u64>);

impl Marks {
    pub fn hit(&mut self, path: &'static str) {
        let is_known = PATHS.contains(&path) || HOSTILE_PATHS.contains(&path);
        assert!(is_known, "{path:?} is not in the list");
        *self.0.entry(path).or_default() += 1;
    }

    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    pub fn add(&mut self, other: &Self) {
        for path in other.0.keys() {
            *self.0.entry(path).or_default() += 1;
        }
    }

    pub fn all_reached(&self) {
        self.reached(PATHS);
    }

    pub fn all_of_hostile_reached(&self) {
        self.reached(HOSTILE_PATHS);
    }

    fn reached(&self, paths: &[&str]) {
        let never: Vec<_> = paths.iter().filter(|path| !self.0.contains_key(*path)).collect();
        assert!(never.is_empty(), "never reached: {never:?}\nreached: {:#?}", self.0);
    }
}
