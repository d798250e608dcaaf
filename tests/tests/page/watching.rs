//! The browser under the tests sees what they rely on: a page that does wrong is noticed.

use tests::browser::{Key, Site, sealed_in_browser};

const GOOD: &str = "<!doctype html><html lang=en><head><title>Good</title></head><body><main><h1>Good</h1>
    <label>Name <input id=name></label><p id=said></p>
    <script>document.querySelector('#name').addEventListener('change',
      (event) => { document.querySelector('#said').textContent = event.target.value; });</script></main></body></html>";
const BAD: &str = "<!doctype html><html><head><title></title>
    <meta http-equiv=content-security-policy content=\"img-src 'none'\"></head>
    <body><input><img src=/picture>
    <script>setTimeout(() => { throw new Error('thrown late'); });</script>
    <script>console.error('said in the console'); fetch('http://elsewhere.test/').catch(() => {});</script>
    </body></html>";

#[test]
fn a_page_that_does_wrong_is_noticed() {
    sealed_in_browser(|installed| {
        let browser = installed.setup().watching_requests().start();
        let site = Site::with_page(GOOD);
        browser.resize(360, 600);
        browser.open(&site.at("127.0.0.1"));
        browser.until("innerWidth === 360 && innerHeight === 600");
        browser.fill("#name", "Ada");
        browser.presses(Key::Enter);
        browser.shows("#said", "Ada");
        browser.shows_no("#said", "Bob");
        assert_eq!(browser.complaints(), Vec::<String>::new());
        assert_eq!(browser.barriers(), Vec::<String>::new());
        assert!(browser.heap_bytes() > 10_000);
        let requested = browser.requested();
        assert!(
            requested.iter().all(|url| url.starts_with(&site.at("127.0.0.1"))),
            "{requested:?}"
        );

        let site = Site::with_page(BAD);
        browser.prefers(&[("prefers-color-scheme", "dark")]);
        browser.open(&site.at("127.0.0.1"));
        browser.until("matchMedia('(prefers-color-scheme: dark)').matches");
        browser.until("window.__complaints.some((it) => it.includes('thrown late'))");
        let complaints = browser.complaints();
        for words in ["img-src", "thrown late", "said in the console"] {
            assert!(complaints.iter().any(|it| it.contains(words)), "{words} in {complaints:?}");
        }
        let barriers = browser.barriers();
        for rule in ["html-has-lang", "document-title", "label", "image-alt"] {
            assert!(barriers.iter().any(|it| it.contains(rule)), "{rule} in {barriers:?}");
        }
        let requested = browser.requested();
        assert!(requested.iter().any(|url| url.contains("elsewhere.test")), "{requested:?}");
    });
}

/// Says for a moment that a control has the focus which is no longer shown, as browsers do when a dialog has just closed.
const CLOSING: &str = "<!doctype html><html lang=en><title>Closing</title><button hidden>Close</button><p id=said></p>
    <script>let asked = 0;
      Object.defineProperty(document, 'activeElement',
        { get: () => (asked++ === 0 ? document.querySelector('button') : document.body) });
      document.addEventListener('keydown', (event) => { document.querySelector('#said').textContent += event.key; });
    </script></html>";

#[test]
fn a_key_is_pressed_wherever_the_focus_is() {
    sealed_in_browser(|installed| {
        let browser = installed.start();
        let site = Site::with_page(CLOSING);
        browser.open(&site.at("127.0.0.1"));
        browser.types("k");
        browser.presses(Key::CtrlEnter);
        browser.shows("#said", "kControlEnter");
    });
}
