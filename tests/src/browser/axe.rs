use serde_json::Value;

use super::Browser;

/// The rules of WCAG up to 2.2 AA, and what axe-core calls best practices.
const RUN: &str = "
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ['violations'] }).then(
  (found) => done(found.violations.map((rule) => ({
    rule: rule.id,
    help: rule.help,
    at: rule.nodes.slice(0, 5).map((node) => `${node.target}: ${node.failureSummary}`),
  }))),
  (error) => done([{ rule: 'axe', help: String(error), at: [] }]),
);";

impl Browser {
    /// What keeps people out of the page as it is now, by axe-core: one line for each rule that it breaks.
    ///
    /// # Panics
    /// When axe-core can't be run.
    #[track_caller]
    pub fn barriers(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(&self.axe).expect("axe-core");
        self.script(&axe, vec![]);
        let found = self.script_until_done(RUN, vec![]);
        let found = found.as_array().expect("a list of rules");
        found
            .iter()
            .map(|rule| {
                let at = rule["at"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let at: Vec<_> = at.map(|it| it.replace('\n', " ")).collect();
                format!("{}: {} at {}", rule["rule"], rule["help"], at.join("; "))
            })
            .collect()
    }
}
