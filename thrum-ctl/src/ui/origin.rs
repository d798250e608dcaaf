//! Where a request comes from: only from the page itself, and the page only from a navigation of the browser.
//!
//! Any page that a browser shows can send requests to this port. What it can't choose are the headers in which the browser
//! says for which address a request is, and which page sent it.

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};

use super::refusal::Refusal;

/// Where the page is: `127.0.0.1` and this port.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub u16);

impl Address {
    /// The URL of the page.
    pub fn url(self) -> String {
        format!("http://127.0.0.1:{}/", self.0)
    }

    fn is_ours(self, host: &str) -> bool {
        let Self(port) = self;
        ["127.0.0.1", "localhost"]
            .iter()
            .any(|name| host == format!("{name}:{port}") || (port == 80 && host == *name))
    }

    /// Checks for whom a request is, and who sent it.
    ///
    /// # Errors
    /// When the address is another one, whose owner let it point to this machine, and when another page has sent it.
    pub fn check(self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = only(headers, &header::HOST).flatten();
        let named = uri.authority().map(|authority| authority.as_str());
        if !host.is_some_and(|host| self.is_ours(host)) || !named.is_none_or(|it| self.is_ours(it))
        {
            let message =
                "this address is not that of thrum ui: another name leads to it, or none was given";
            return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "other_host", message)
                .hint(format!("open {}", self.url())));
        }
        // The page itself: not one at the other name, which could be that of another program.
        let ours = |origin: &str| origin.strip_prefix("http://") == host;
        match only(headers, &header::ORIGIN) {
            None => {}
            Some(Some(origin)) if ours(origin) => {}
            Some(_) => return Err(elsewhere()),
        }
        match only(headers, &HeaderName::from_static("sec-fetch-site")) {
            // Not a browser, or one that is too old to say it.
            None | Some(Some("same-origin")) => Ok(()),
            Some(_) if is_navigation(method, uri, headers) => Ok(()),
            Some(_) => Err(elsewhere()),
        }
    }
}

/// Whether a person opens the page itself: from a link, the address bar or a file, and not in a frame of another page.
fn is_navigation(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let says = |name: &'static str, value: &str| {
        only(headers, &HeaderName::from_static(name)) == Some(Some(value))
    };
    let opens = [Method::GET, Method::HEAD].contains(method) && uri.path() == "/";
    opens && says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document")
}

/// The value of a header; None if it is absent, and Some(None) if it is there more than once or is no text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(first.to_str().ok().filter(|_| values.next().is_none()))
}

fn elsewhere() -> Refusal {
    let message = "another page has sent this request";
    Refusal::new(StatusCode::FORBIDDEN, "other_origin", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, uri: &str, lines: &[(&'static str, &str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let checked = Address(4173).check(&method, &uri.parse().unwrap(), &headers);
        checked.map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:4173");

    #[test]
    fn only_our_own_names_are_answered() {
        let of = |host| status(Method::GET, "/", &[("host", host)]);
        for host in ["127.0.0.1:4173", "localhost:4173"] {
            assert_eq!(of(host), 200, "{host}");
        }
        for host in [
            "evil.test:4173",
            "127.0.0.1",
            "127.0.0.1:4174",
            "localhost",
            "127.0.0.1:4173.evil.test",
            "[::1]:4173",
            "user@127.0.0.1:4173",
            "LOCALHOST:4173",
            "",
        ] {
            assert_eq!(of(host), 421, "{host}");
        }
        assert_eq!(status(Method::GET, "/", &[]), 421);
        assert_eq!(status(Method::GET, "/", &[HOST, HOST]), 421);
        assert_eq!(status(Method::GET, "http://evil.test/", &[HOST]), 421);
        assert_eq!(status(Method::GET, "http://127.0.0.1:4173/", &[HOST]), 200);
        let (get, uri) = (Method::GET, "/".parse().unwrap());
        let headers = HeaderMap::from_iter([(header::HOST, "localhost".parse().unwrap())]);
        assert!(Address(80).check(&get, &uri, &headers).is_ok());
    }

    #[test]
    fn requests_of_other_pages_are_refused() {
        let post = |lines: &[(&'static str, &str)]| {
            status(Method::POST, "/rpc", &[&[HOST], lines].concat())
        };
        assert_eq!(post(&[]), 200);
        assert_eq!(post(&[("origin", "http://127.0.0.1:4173")]), 200);
        for origin in [
            "null",
            "http://127.0.0.1:4174",
            "https://127.0.0.1:4173",
            "http://localhost:4173",
            "http://evil.test",
            "http://",
            "",
        ] {
            assert_eq!(post(&[("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(post(&[("sec-fetch-site", "same-origin")]), 200);
        for site in ["same-site", "cross-site", "none", "x"] {
            let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
            let lines = [&[("sec-fetch-site", site)], &navigation[..]].concat();
            assert_eq!(post(&lines), 403, "{site}");
            let get = |uri, lines: &[(&'static str, &str)]| {
                status(Method::GET, uri, &[&[HOST], lines].concat())
            };
            assert_eq!(get("/", &lines), 200, "{site}");
            assert_eq!(get("/changes", &lines), 403, "{site}");
            assert_eq!(get("/", &lines[..2]), 403, "{site}");
            let frame = [lines[0], lines[1], ("sec-fetch-dest", "iframe")];
            assert_eq!(get("/", &frame), 403, "{site}");
        }
    }
}
