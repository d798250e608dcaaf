//! The callers that wait for messages, by what each waits for. A digested page wakes those whom it gave something,
//! so that sending costs the same however many wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Who got messages in a digested page.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct News {
    /// Agents with messages to them, each with the project.
    agents: BTreeSet<(String, String)>,
    /// Projects with messages to all.
    pub(super) projects: BTreeSet<String>,
}

impl News {
    /// A message to this agent of the project.
    pub(super) fn add_agent(&mut self, agent: &str, project: &str) {
        self.agents.insert((agent.to_owned(), project.to_owned()));
    }

    /// A message to all of the project.
    pub(super) fn add_project(&mut self, project: &str) {
        self.projects.insert(project.to_owned());
    }
}

/// What a caller waits for: the project (None for all of them) and the agent. The number tells callers apart that
/// wait for the same.
type Key = (Option<String>, String, u64);

/// The callers that wait now.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    registry: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    last: u64,
    waiters: BTreeMap<Key, Arc<Notify>>,
}

/// The place of one caller in the registry, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiter<'a> {
    waiters: &'a Waiters,
    key: Key,
    notify: Arc<Notify>,
}

impl Waiters {
    /// Registers a caller. To miss nothing, it registers first and looks for messages then.
    pub(super) fn register(&self, agent: &str, project: Option<&str>) -> Waiter<'_> {
        let mut registry = self.registry.lock();
        registry.last += 1;
        let key = (project.map(str::to_owned), agent.to_owned(), registry.last);
        let notify = Arc::new(Notify::new());
        registry.waiters.insert(key.clone(), Arc::clone(&notify));
        Waiter { waiters: self, key, notify }
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.registry.lock().waiters.is_empty()
    }

    /// How many wait.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.registry.lock().waiters.len()).unwrap_or(u64::MAX)
    }

    /// The agents for which somebody waits in all projects.
    pub(super) fn in_all_projects(&self) -> BTreeSet<String> {
        let registry = self.registry.lock();
        let in_all = registry.waiters.keys().take_while(|(project, ..)| project.is_none());
        in_all.map(|(_, agent, _)| agent.clone()).collect()
    }

    /// Wakes those who got something. Of those who wait in all projects, those who are named: only the views know who
    /// of them reads the messages to all of a project.
    pub(super) fn wake(&self, news: &News) {
        let registry = self.registry.lock();
        for (agent, project) in &news.agents {
            for project in [Some(project), None] {
                let one = |number| (project.cloned(), agent.clone(), number);
                registry.waiters.range(one(0)..=one(u64::MAX)).for_each(notify);
            }
        }
        for project in &news.projects {
            let first = (Some(project.clone()), String::new(), 0);
            let of_project = |(key, _): &(&Key, &Arc<Notify>)| key.0.as_ref() == Some(project);
            registry.waiters.range(first..).take_while(of_project).for_each(notify);
        }
    }

    /// Wakes everyone, when it is unknown who got something.
    pub(super) fn wake_all(&self) {
        self.registry.lock().waiters.iter().for_each(notify);
    }
}

fn notify((_, waiter): (&Key, &Arc<Notify>)) {
    waiter.notify_one();
}

impl Waiter<'_> {
    /// Returns when there may be something new since the caller registered or was woken last.
    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiters.registry.lock().waiters.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// Whether each was woken since the last look.
    fn woken<const N: usize>(waiters: [&Waiter<'_>; N]) -> [bool; N] {
        waiters.map(|waiter| waiter.woken().now_or_never().is_some())
    }

    #[test]
    fn those_who_got_something_are_woken_and_nobody_else() {
        let waiters = Waiters::default();
        let coder = waiters.register("coder", Some("app"));
        let again = waiters.register("coder", Some("app"));
        let anywhere = waiters.register("coder", None);
        let elsewhere = waiters.register("coder", Some("web"));
        let other = waiters.register("code", Some("app"));
        let mut news = News::default();
        news.add_agent("coder", "app");
        waiters.wake(&news);
        let all = [&coder, &again, &anywhere, &elsewhere, &other];
        assert_eq!(woken(all), [true, true, true, false, false]);
        assert_eq!(woken(all), [false; 5], "each is woken once");
        waiters.wake_all();
        assert_eq!(woken(all), [true; 5]);
    }

    #[test]
    fn a_message_to_all_wakes_those_who_wait_in_its_project() {
        let waiters = Waiters::default();
        let of_app = [waiters.register("coder", Some("app")), waiters.register("qa", Some("app"))];
        let anywhere = ["coder", "qa"].map(|agent| waiters.register(agent, None));
        let elsewhere = [waiters.register("qa", Some("ap")), waiters.register("qa", Some("app2"))];
        let mut news = News::default();
        news.add_project("app");
        waiters.wake(&news);
        assert_eq!(woken([&of_app[0], &of_app[1]]), [true; 2]);
        assert_eq!(woken([&elsewhere[0], &elsewhere[1]]), [false; 2]);
        assert_eq!(woken([&anywhere[0], &anywhere[1]]), [false; 2]);
        let names: Vec<String> = waiters.in_all_projects().into_iter().collect();
        assert_eq!(names, ["coder", "qa"]);
    }

    #[test]
    fn one_who_waits_no_more_leaves_nothing_behind() {
        let waiters = Waiters::default();
        assert!(waiters.is_empty());
        let waiter = waiters.register("coder", None);
        assert!(!waiters.is_empty());
        drop(waiter);
        assert!(waiters.is_empty());
    }
}
