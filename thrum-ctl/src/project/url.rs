//! URLs of repositories.

/// Hosts by which a forge takes ssh on port 443, and the forge.
const SSH_HOSTS: [(&str, &str); 3] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
];

/// Where a repository is: host and path of its URL. User, password, port and query are dropped, because they
/// don't identify it and may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The host, in lower case. It may be an alias of ssh's configuration.
    pub host: String,
    /// Whether ssh is used.
    pub ssh: bool,
    path: String,
}

impl Location {
    /// The location in a URL. None without a host: a path means something else on each machine.
    pub fn of(url: &str) -> Option<Self> {
        let url = url.split(['?', '#']).next().unwrap_or_default();
        let (scheme, authority, path) = match url.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => return None,
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/')?;
                (scheme, authority, path)
            }
            // scp's form. In a path, a slash precedes the first colon.
            None => {
                let (host, path) = url.split_once(':').filter(|(host, _)| !host.contains('/'))?;
                ("ssh", host, path)
            }
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        // The port does not identify the project.
        let host = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
        if host.len() < 2 || path.is_empty() {
            return None;
        }
        let ssh = scheme.to_ascii_lowercase().contains("ssh");
        Some(Self { host: host.to_ascii_lowercase(), ssh, path: path.to_owned() })
    }

    /// Whether the host has the form of a domain name: it is neither `gh` nor `github.com-work`, which stand
    /// for something else on this machine.
    pub fn is_domain(&self) -> bool {
        is_domain(&self.host)
    }

    /// The same path at another host.
    #[must_use]
    pub fn at(self, host: String) -> Self {
        Self { host, ..self }
    }

    /// The name of the project. In lower case, because forges ignore the case of what people type.
    pub fn name(&self) -> String {
        let host = SSH_HOSTS.iter().find(|(ssh, _)| *ssh == self.host);
        let host = host.map_or(self.host.as_str(), |(_, forge)| forge);
        format!("{host}/{}", self.path).to_lowercase()
    }
}

/// Whether a text has the form of a domain name, with at least two labels.
pub fn is_domain(host: &str) -> bool {
    let last = host.rsplit_once('.').map(|(_, last)| last);
    last.is_some_and(|last| last.len() > 1 && last.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// A URL without what may be secret: user and password, query and fragment.
pub fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}/{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalise(url: &str) -> Option<String> {
        Location::of(url).map(|location| location.name())
    }

    #[test]
    fn every_way_to_write_an_origin_is_the_same_project() {
        for url in [
            "git@github.com:acme/app.git",
            "git@GitHub.com:acme/app",
            "github.com:/acme/app.git",
            "https://github.com/acme/app",
            "https://github.com/acme/app.git/",
            "https://me@github.com/acme/app.git",
            "https://me:secret@github.com:443/acme/app.git",
            "ssh://git@github.com/acme/app.git",
            "ssh://git@github.com:22/acme/app.git",
            "git://github.com/acme/app",
            "https://github.com/Acme/App",
            "ssh://git@ssh.github.com:443/acme/app.git",
        ] {
            assert_eq!(normalise(url).as_deref(), Some("github.com/acme/app"), "{url}");
        }
        assert_eq!(normalise("git@gitlab.com:a/b/C.git").as_deref(), Some("gitlab.com/a/b/c"));
    }

    #[test]
    fn query_and_fragment_are_not_part_of_the_name() {
        for url in [
            "https://github.com/acme/app.git?token=SECRET",
            "https://github.com/acme/app?token=SE/CRET.git",
            "https://github.com/acme/app.git/#main",
            "git@github.com:acme/app.git#main",
        ] {
            assert_eq!(normalise(url).as_deref(), Some("github.com/acme/app"), "{url}");
        }
    }

    #[test]
    fn a_path_is_not_a_project_name() {
        for url in
            ["/srv/git/app.git", "../app", "file:///srv/app", "./a:b", "C:\\work", "https://", ""]
        {
            assert_eq!(normalise(url), None, "{url}");
        }
    }

    #[test]
    fn an_alias_has_not_the_form_of_a_domain_name() {
        for host in ["github.com", "git.example.co.uk"] {
            assert!(is_domain(host), "{host}");
        }
        for host in ["gh", "github.com-work", "10.0.0.5", "localhost", "a.b."] {
            assert!(!is_domain(host), "{host}");
        }
    }

    #[test]
    fn a_url_is_shown_without_secrets() {
        for (url, shown) in [
            ("https://me:SECRET@github.com/a/b?t=SECRET", "https://github.com/a/b"),
            ("git@github.com:a/b.git", "git@github.com:a/b.git"),
            ("https://SECRET@github.com", "https://github.com/"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
