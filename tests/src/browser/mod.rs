//! A real browser with the page of `thrum ui` in it: Debian's Chromium, driven over WebDriver.
//!
//! A test runs in sealed namespaces: there is no network but loopback, and every process of the browser ends with the test. Nothing is waited for by the clock: [`Browser::until`] looks until
//! a condition holds, and says why it does not.

mod axe;

mod devtools;
mod driver;
mod installed;
mod keys;
mod look;
mod session;
mod site;
mod ui;

pub use installed::{InstalledBrowser, run_again_sealed, sealed_in_browser};
pub use keys::Key;
pub use session::{Browser, BrowserSetup};
pub use site::{Site, Visit};
pub use ui::Ui;
