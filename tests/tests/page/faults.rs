//! What is late, lost or hidden while somebody looks at the page.

use tests::browser::{Browser, Ui};

use crate::scene::opens;

/// Lets a test hold the answers to a method, have its requests fail, or change what is answered; and hide the page, which then
/// waits until somebody looks, however slow the machine is.
const FAULTS: &str = "
const [send, later] = [window.fetch, window.setTimeout];
const it = window.faults = { asked: [], held: [], holds: null, holdsAfter: {}, loses: null, changes: {} };
window.fetch = async (path, options) => {
  const method = path === '/rpc' ? JSON.parse(options.body).method : path;
  it.asked.push(method);
  const isHeld = method === it.holds;
  it.holds = it.holdsAfter[method] ?? it.holds;
  if (method === it.loses) throw new TypeError('Failed to fetch');
  let answer = await send(path, options);
  const change = it.changes[method];
  if (change) answer = Response.json(change(await answer.json()));
  if (isHeld && method === it.holds) await new Promise((go) => it.held.push(go));
  return answer;
};
it.release = () => {
  [it.holds, it.holdsAfter] = [null, {}];
  for (const go of it.held.splice(0)) go();
};
it.hide = (isHidden) => {
  Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
};
window.setTimeout = (run, ms, ...more) => (ms === 5000 ? 0 : later(run, ms, ...more));
const authorization = `Bearer ${sessionStorage.getItem('thrum-bearer')}`;
const { id } = await (await send('/session', { headers: { authorization } })).json();
const channel = new BroadcastChannel(`thrum-changes ${id}`);
channel.onmessage = ({ data }) => { it.told = data.change ?? it.told; };
channel.postMessage({ ask: true });
it.tell = (flags) => channel.postMessage({ change: { ...it.told, ...flags } });";

/// Opens the page with [`FAULTS`].
#[track_caller]
pub fn opens_with_faults(browser: &Browser, ui: &Ui) {
    opens(browser, ui);
    gets_faults(browser);
}

/// Puts [`FAULTS`] under the page as it is, and waits until it has been told of a change and has nothing to do any more.
#[track_caller]
pub fn gets_faults(browser: &Browser) {
    browser.script(&format!("return (async () => {{ {FAULTS} }})();"), vec![]);
    browser.until("faults.told !== undefined");
    // It asks for what changed in rounds, one after the other. Of the last of these nothing is left but the status.
    let asked = "faults.asked.filter((it) => it === 'status').length";
    for _ in 0..2 {
        let before = browser.script(&format!("return {asked};"), vec![]);
        does(browser, "faults.tell({ status: true, agents: false, deliveries: false });");
        browser.until(&format!("{asked} > {before}"));
    }
}

#[track_caller]
pub fn does(browser: &Browser, script: &str) {
    browser.script(script, vec![]);
}
