//! Who gets in: the person with the address that was printed, once, and no page of anybody else.

use serde_json::{Value, json};
use tests::browser::{Browser, Site, Ui, sealed_in_browser};
use tests::harness::{Daemon, SHORT, eventually};
use thrum_api::local::{MessageList, MessageListParams};

use crate::scene::{agent, is_fine, is_live, opens, sends, ui};

#[test]
fn the_address_works_once_and_its_tab_stays_in() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let ui = ui(&laptop);
        let browser = installed.setup().watching_requests().start();
        sends(&agent(&laptop, "planner"), "alice", "the first one");
        opens(&browser, &ui);
        browser.shows("#feed [data-message]", "the first one");
        assert_eq!(browser.address(), format!("{}/", ui.origin()), "the token is gone from it");
        assert!(
            !browser
                .script("return String(history.length) + location.href;", vec![])
                .to_string()
                .contains(ui.token())
        );
        browser.reload();
        is_live(&browser);
        browser.shows("#feed [data-message]", "the first one");

        // Another tab has nothing of it, whatever it tries.
        let first = browser.new_tab();
        for (address, reason) in [
            (ui.address().to_owned(), "used-token"),
            (format!("{}/", ui.origin()), "no-token"),
            (format!("{}/#t=", ui.origin()), "no-token"),
        ] {
            browser.open("about:blank");
            browser.open(&address);
            browser
                .until(&format!("document.querySelector('#gate')?.dataset.reason === '{reason}'"));
            assert_eq!(browser.texts("#feed"), Vec::<String>::new());
            let text = browser.script("return document.documentElement.textContent;", vec![]);
            assert!(!text.to_string().contains("the first one"), "{text}");
        }
        // What the page says of a refused token is the one thing in the console.
        let complaints = browser.complaints();
        assert!(complaints.iter().all(|it| it.contains("/session")), "{complaints:?}");
        browser.go_to_tab(&first);
        sends(&agent(&laptop, "planner"), "alice", "the second one");
        browser.shows("#feed [data-message]", "the second one");
        is_fine(&browser);

        // A second address for a second tab.
        let other = Ui::start(&agent(&laptop, "bob"), &[]);
        browser.new_tab();
        opens(&browser, &other);
        browser.shows("#feed [data-message]", "the second one");
        is_fine(&browser);

        let requested = browser.requested();
        let own = |url: &String| {
            [&ui, &other].iter().any(|ui| url.starts_with(&format!("{}/", ui.origin())))
        };
        assert!(!requested.is_empty() && requested.iter().all(own), "{requested:?}");
        let tells = |url: &String| [&ui, &other].iter().any(|ui| url.contains(ui.token()));
        // A fragment stays in the browser, so the log of requests may not even have it.
        let told = requested
            .iter()
            .filter(|url| url.split('#').next().is_some_and(|url| tells(&url.to_owned())));
        assert_eq!(told.collect::<Vec<_>>(), Vec::<&String>::new());
        let cookies = browser.devtools("Network.getAllCookies", json!({}));
        assert_eq!(cookies["cookies"], json!([]));
    });
}

/// What a page elsewhere tries: each line gives what it got.
const TRIES: &str = "
const [there, bearer, done] = arguments;
const mail = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'message.send', params: {
  from: 'alice', to: ['alice'], text: 'from elsewhere', project: 'test' } });
const got = {};
const attempt = async (name, work) => {
  try { got[name] = String(await work()); } catch (error) { got[name] = `refused: ${error.name}`; }
};
const said = async (answer) => `${answer.type} ${answer.status} ${(await answer.text()).length}`;
const event = (target, ...names) => new Promise((resolve) => {
  for (const name of names) target.addEventListener(name, () => resolve(name));
});
const framed = (fill) => {
  const frame = document.createElement('iframe');
  frame.name = `frame${Math.random()}`;
  document.body.append(frame);
  fill(frame);
  return event(frame, 'load').then(() => {
    try { return frame.contentDocument ? `readable ${frame.contentDocument.body.textContent}` : 'closed'; }
    catch { return 'closed'; }
  });
};
const form = (frame, path, type, name, value) => {
  const form = document.createElement('form');
  Object.assign(form, { method: 'post', action: there + path, target: frame.name, enctype: type });
  const input = document.createElement('input');
  Object.assign(input, { type: 'hidden', name, value });
  form.append(input);
  document.body.append(form);
  form.submit();
};
const json = { 'content-type': 'application/json' };
const known = { ...json, authorization: `Bearer ${bearer}` };
const tries = async () => {
await attempt('get', async () => said(await fetch(there + '/')));
await attempt('session', async () => said(await fetch(there + '/session', { headers: known })));
await attempt('guess', async () => said(await fetch(there + '/session',
  { method: 'POST', headers: json, body: '{\"token\":\"a\"}' })));
await attempt('rpc', async () => said(await fetch(there + '/rpc', { method: 'POST', headers: known, body: mail })));
await attempt('changes', async () => said(await fetch(there + '/changes', { headers: known })));
await attempt('blind rpc', async () => said(await fetch(there + '/rpc', { method: 'POST', mode: 'no-cors',
  headers: { 'content-type': 'text/plain' }, body: mail })));
await attempt('blind session', async () => said(await fetch(there + '/session', { method: 'POST', mode: 'no-cors',
  body: '{\"token\":\"a\"}' })));
await attempt('beacon', async () => { navigator.sendBeacon(there + '/rpc', mail); return 'sent'; });
await attempt('frame', () => framed((frame) => { frame.src = there + '/'; }));
await attempt('form', () => framed((frame) => form(frame, '/rpc', 'text/plain', mail.slice(0, -1) + ',\"x\":\"', '\"}')));
await attempt('form of a session', () => framed((frame) => form(frame, '/session', 'application/x-www-form-urlencoded', 'token', 'a')));
await attempt('socket', () => event(new WebSocket(there.replace('http', 'ws') + '/changes'), 'open', 'error'));
await attempt('events', () => event(new EventSource(there + '/changes'), 'open', 'error'));
for (const name of ['app.js', 'style.css', 'favicon.svg']) {
  const kind = { js: 'script', css: 'link', svg: 'img' }[name.split('.')[1]];
  await attempt(name, () => {
    const element = document.createElement(kind);
    element.rel = 'stylesheet';
    const path = there + '/assets/' + name;
    const loaded = event(element, 'load', 'error');
    if (kind === 'link') element.href = path; else element.src = path;
    document.body.append(element);
    return loaded;
  });
}
done(got);
};
tries();
";

#[test]
fn a_page_on_another_port_gets_nothing_and_changes_nothing() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let ui = ui(&laptop);
        let browser = installed.start();
        sends(&agent(&laptop, "planner"), "alice", "for alice alone");
        opens(&browser, &ui);
        let bearer = bearer(&browser);
        assert!(bearer.len() >= 32, "{bearer}");
        let before = messages(&laptop);
        browser.new_tab();
        let site = Site::with_page("<!doctype html><title>Elsewhere</title><body>");
        for (host, there) in [
            ("127.0.0.1", ui.origin().to_owned()),
            ("localhost", ui.origin().to_owned()),
            ("127.0.0.1", ui.origin().replace("127.0.0.1", "localhost")),
        ] {
            browser.open(&site.at(host));
            let got = browser.script_until_done(TRIES, vec![json!(there), json!(bearer)]);
            for (name, got) in got.as_object().expect("what it got") {
                let expected: &[&str] = match name.as_str() {
                    // A page may ask without seeing what comes.
                    "blind rpc" | "blind session" => &["opaque 0 0", "refused: TypeError"],
                    "beacon" => &["sent"],
                    "frame" | "form" | "form of a session" => &["closed"],
                    "socket" | "events" | "app.js" | "style.css" | "favicon.svg" => &["error"],
                    _ => &["refused: TypeError"],
                };
                assert!(expected.contains(&got.as_str().unwrap()), "{name} from {host}: {got}");
            }
        }
        assert_eq!(messages(&laptop), before, "nothing was sent");
        // Nothing of the person came to the other site.
        for visit in site.visits() {
            let head = visit.head.to_lowercase();
            for word in
                ["cookie:", "authorization:", &bearer.to_lowercase(), &ui.port().to_string()]
            {
                assert!(!head.contains(word), "{head}");
            }
        }
    });
}

#[test]
fn a_token_that_a_page_elsewhere_guessed_at_still_works() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let ui = ui(&laptop);
        let browser = installed.start();
        let site = Site::with_page("<!doctype html><title>Elsewhere</title><body>");
        browser.open(&site.at("127.0.0.1"));
        // Even the right one, for which it would have to be the page itself.
        let script = "const [there, token] = arguments, done = arguments[2];
            fetch(there + '/session', { method: 'POST', mode: 'no-cors', body: JSON.stringify({ token }) })
              .then((answer) => done(answer.type), (error) => done(error.name));";
        let got = browser.script_until_done(script, vec![json!(ui.origin()), json!(ui.token())]);
        assert!(["opaque", "TypeError"].contains(&got.as_str().unwrap()), "{got}");
        // The console tells the other page that it was refused.
        browser.complaints();
        opens(&browser, &ui);
        is_fine(&browser);
    });
}

#[test]
fn a_name_of_another_that_leads_to_this_machine_is_refused() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let ui = ui(&laptop);
        let browser = installed.setup().with_host("evil.test").start();
        let address = ui.address().replace("127.0.0.1", "evil.test");
        browser.open(&address);
        assert_eq!(browser.count("script, #app, #gate"), 0);
        let got = browser.script_until_done(
            "const done = arguments[0];
            Promise.all(['/', '/session', '/changes', '/assets/app.js'].map((path) =>
              fetch(path).then((answer) => answer.status))).then(done, (error) => done(String(error)));",
            vec![],
        );
        assert_eq!(got, json!([421, 421, 421, 421]));
        // The token was not spent on it, and works by either name of loopback.
        opens(&browser, &ui);
        browser.open(&format!("http://localhost:{}/", ui.port()));
        browser.until("document.querySelector('#gate')?.dataset.reason === 'no-token'");
    });
}

#[test]
fn whoever_opened_the_page_has_no_hold_of_it() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let ui = ui(&laptop);
        let browser = installed.start();
        let site = Site::with_page(
            "<!doctype html><title>Elsewhere</title><button onclick='open_it()'>Open</button><script>
             let opened; function open_it() { opened = window.open(location.hash.slice(1)); }</script>",
        );
        // It knows the address, as one who looks over the person's shoulder does.
        browser.open(&format!("{}#{}", site.at("127.0.0.1"), ui.address()));
        browser.click("button");
        let opener = browser.tab();
        let opened = eventually(SHORT, || {
            let others: Vec<_> = browser.tabs().into_iter().filter(|it| *it != opener).collect();
            others.first().cloned().ok_or_else(|| "no other tab".to_owned())
        });
        // For the opener it is gone.
        browser.until("opened.closed === true");
        browser.go_to_tab(&opened);
        is_live(&browser);
        assert_eq!(browser.script("return window.opener;", vec![]), Value::Null);
    });
}

/// The key of the session that the page keeps.
fn bearer(browser: &Browser) -> String {
    let kept = browser.script("return Object.values(sessionStorage).join(' ');", vec![]);
    let kept = kept.as_str().unwrap().to_owned();
    let longest = kept.split(|it: char| !it.is_ascii_alphanumeric() && !"-_".contains(it));
    longest.max_by_key(|word| word.len()).unwrap_or_default().to_owned()
}

fn messages(daemon: &Daemon) -> usize {
    daemon.ask::<MessageList>(MessageListParams::default()).messages.len()
}
