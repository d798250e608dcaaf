//! Tells the person where the page is, and opens it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Child;
use tokio::time::sleep;

use super::access::Access;
use super::opening::Screen;
use super::origin::Address;
use super::redirect::Redirect;
use crate::error::Error;
use crate::format::counted;
use crate::printer::Printer;

/// How long a browser may take to open the page, until the person is told the address.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// When `thrum ui` ends by itself.
#[derive(Debug, Clone, Copy)]
pub struct Ends(Duration);

impl Ends {
    /// After this long without a page; zero: never.
    pub const fn after(idle: Duration) -> Self {
        Self(idle)
    }

    /// How long that is, if it ever ends by itself.
    pub fn limit(self) -> Option<Duration> {
        Some(self.0).filter(|limit| !limit.is_zero())
    }

    fn told(self) -> String {
        match self.limit() {
            Some(_) => format!("ends with Ctrl-C or after {self} without a page"),
            None => "ends with Ctrl-C".to_owned(),
        }
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self.0.as_secs() {
            seconds if seconds % 60 == 0 => counted(seconds / 60, "minute"),
            seconds => counted(seconds, "second"),
        })
    }
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Document<'a> {
    /// With the token, unless a browser opens the page.
    url: &'a str,
    opened: bool,
    /// The command to run at the machine at which the person sits.
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<&'a str>,
}

/// The page, on its way to the person's screen.
pub struct Announcement {
    /// With the token.
    address: String,
    opening: Option<(Redirect, Child)>,
}

impl Announcement {
    /// Opens the page on this screen, and prints where it is. On no screen, only the latter.
    ///
    /// # Errors
    /// When it can't be printed, or the file for the browser can't be written.
    pub fn make(
        address: Address,
        access: &Access,
        screen: Option<&Screen>,
        ends: Ends,
        printer: &mut Printer,
    ) -> Result<Self, Error> {
        let url = address.url();
        let address = format!("{url}#t={}", access.token().expose());
        let (mut opening, mut failed, mut tunnel) = (None, None, None);
        match screen {
            None => {}
            Some(Screen::Nowhere) => failed = Some("no browser was found".to_owned()),
            Some(Screen::Remote { tunnel: command }) => tunnel = Some(command.as_str()),
            Some(Screen::Here(opener)) => {
                let redirect = Redirect::to(&address)?;
                match opener.open(redirect.path()) {
                    Ok(browser) => opening = Some((redirect, browser)),
                    Err(error) => failed = Some(format!("no browser could be started: {error}")),
                }
            }
        }
        let opened = opening.is_some();
        let shown = if opened { &url } else { &address };
        if printer.json() {
            printer.object(&Document { url: shown, opened, tunnel })?;
        } else {
            if let Some(tunnel) = tunnel {
                printer.line("On the machine at which you sit, run this, and leave it running:")?;
                printer.line(&format!("    {tunnel}"))?;
            }
            let how = match (opened, failed) {
                (true, _) => "opened in your browser".to_owned(),
                (false, Some(failed)) => format!("{failed}; the address works once"),
                (false, None) => "the address works once".to_owned(),
            };
            printer.line(&format!("Thrum is at {shown} ({how}; {})", ends.told()))?;
        }
        Ok(Self { address, opening })
    }

    /// Removes the file for the browser once the page was opened. If it isn't, tells the address. Goes on until it is dropped.
    ///
    /// # Errors
    /// When the address can't be printed.
    pub async fn follow(mut self, access: &Access, printer: &mut Printer) -> Error {
        if let Some((_, browser)) = &mut self.opening {
            let why = tokio::select! {
                () = access.used() => None,
                why = failure(browser) => Some(why),
                () = sleep(OPEN_LIMIT) => {
                    Some(format!("the browser has not asked for it in {} s", OPEN_LIMIT.as_secs()))
                }
            };
            if let Some(why) = why
                && let Err(error) = tell(&why, &self.address, printer)
            {
                return error;
            }
            access.used().await;
        }
        // The browser that is waited for leaves no zombie behind.
        let browser = self.opening.take().map(|(_, browser)| browser);
        if let Some(mut browser) = browser {
            drop(browser.wait().await);
        }
        std::future::pending().await
    }
}

/// Tells why nobody has opened the page, and its address.
fn tell(why: &str, address: &str, printer: &mut Printer) -> Result<(), Error> {
    if printer.json() {
        // On stdout is one object, which has said already that a browser opens it.
        let hint = format!("open it yourself; its address works once: {address}");
        printer.error(&Error::failed(format!("the page is not open: {why}"), hint));
        return Ok(());
    }
    printer.line(&format!("The page is not open: {why}. Its address, which works once: {address}"))
}

/// Why the program that opens a browser has failed. Never returns if it hasn't.
async fn failure(browser: &mut Child) -> String {
    match browser.wait().await {
        Ok(status) if status.success() => std::future::pending().await,
        Ok(status) => format!("the browser could not be opened ({status})"),
        Err(error) => format!("the browser could not be waited for ({error})"),
    }
}
