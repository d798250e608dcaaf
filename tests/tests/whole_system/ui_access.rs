//! Who gets something from `thrum ui`: only the person's own page.

use std::io::Write as _;

use serde_json::json;
use tests::harness::{Client, Daemon, SHORT, Ui, http};

fn start() -> (Daemon, Ui) {
    let daemon = Daemon::start("laptop");
    let ui =
        Ui::untouched(&Client::new(&daemon), &["--as", "alice", "--project", "secret-project"]);
    (daemon, ui)
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_token_works_once_and_a_wrong_one_never() {
    let (_daemon, ui) = start();
    for wrong in [
        "",
        "x",
        &"0".repeat(32),
        &ui.token[..31],
        &ui.token.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"),
    ] {
        let refused = ui.session(wrong);
        assert_eq!(
            (refused.status, &refused.json()["error"]["code"]),
            (401, &json!("wrong_token"))
        );
    }
    let accepted = ui.session(&ui.token).json();
    assert_eq!(
        (&accepted["me"], &accepted["project"]),
        (&json!("alice"), &json!("secret-project"))
    );
    assert!(accepted["id"].is_string(), "{accepted}");
    let bearer = accepted["bearer"].as_str().unwrap();
    assert_eq!((bearer.len(), ui.token.len()), (64, 32));
    let again = ui.session(&ui.token);
    assert_eq!(again.status, 401);
    assert!(again.json()["error"]["hint"].as_str().unwrap().contains("thrum ui"));
    for (given, status) in [
        (format!("Bearer {bearer}"), 200),
        (format!("Bearer {}", ui.token), 401),
        (format!("bearer {bearer}"), 401),
        (format!("Basic {bearer}"), 401),
        (format!("Bearer {}", &bearer[1..]), 401),
        (format!("Bearer {bearer} "), 200),
        (bearer.to_owned(), 401),
    ] {
        let answer = ui.ask("GET", "/session", &[("authorization", &given)], b"");
        assert_eq!(answer.status, status, "{given}");
    }
}

#[test]
fn many_wrong_tokens_at_once_are_refused_and_keep_nobody_out() {
    let (_daemon, ui) = start();
    let guess = || ui.session("0123456789abcdef0123456789abcdef").status;
    let (told, answers) = std::sync::mpsc::channel();
    let mut statuses = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            let told = told.clone();
            scope.spawn(move || told.send(guess()).unwrap());
        }
        drop(told);
        // From then on the line is full.
        while !statuses.contains(&429) {
            statuses.push(answers.recv_timeout(SHORT).expect("an answer"));
        }
        assert_eq!(ui.session(&ui.token).status, 200);
        statuses.extend(answers);
    });
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    // Eight wait in line, one after the other; the line may have moved on meanwhile.
    assert!(count(401) >= 8 && count(429) > 0, "{statuses:?}");
    assert_eq!(count(401) + count(429), 40);
}

#[test]
fn the_shell_says_nothing_and_everything_else_needs_the_bearer() {
    let (_daemon, ui) = start();
    let index = ui.ask("GET", "/", &[], b"");
    assert_eq!(
        (index.status, index.headers["content-type"].as_str()),
        (200, "text/html; charset=utf-8")
    );
    for secret in ["alice", "laptop", "secret-project", &ui.token] {
        assert!(!index.text().contains(secret), "{secret}");
    }
    // Neither can it load from elsewhere, nor run or style what stands in it.
    for word in ["http:", "https:", "//", "<style", "style=", "onload", "javascript:"] {
        assert!(!index.text().replace("<!doctype html>", "").contains(word), "{word}");
    }
    for (method, path) in [
        ("POST", "/rpc"),
        ("GET", "/changes"),
        ("POST", "/doctor"),
        ("GET", "/session"),
        ("HEAD", "/changes"),
    ] {
        let refused = ui.ask(method, path, &[JSON], b"{}");
        assert_eq!(refused.status, 401, "{method} {path}");
        if method != "HEAD" {
            assert_eq!(refused.json()["error"]["code"], "not_authenticated", "{method} {path}");
        }
    }
    for (method, path, status) in [
        ("PUT", "/", 405),
        ("GET", "/rpc", 405),
        ("DELETE", "/session", 405),
        ("POST", "/changes", 405),
        ("OPTIONS", "/rpc", 405),
        ("GET", "/assets/", 404),
        ("GET", "/assets/../rpc", 404),
        ("GET", "/assets/none.js", 404),
        ("GET", "/metrics", 404),
        ("GET", "/events", 404),
        ("POST", "//rpc", 404),
    ] {
        assert_eq!(ui.ask(method, path, &[JSON], b"{}").status, status, "{method} {path}");
    }
}

#[test]
fn every_answer_tells_the_browser_what_is_forbidden() {
    let (_daemon, ui) = start();
    let evil = [("host", "evil.test")];
    for (method, path, headers) in [
        ("GET", "/", &[][..]),
        ("GET", "/assets/style.css", &[]),
        ("POST", "/rpc", &[JSON]),
        ("GET", "/none", &[]),
        ("PUT", "/", &[]),
        ("GET", "/", &evil),
        ("POST", "/session", &[]),
    ] {
        let answer = ui.ask(method, path, headers, b"");
        let policy = answer.headers["content-security-policy"].as_str();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ] {
            assert!(policy.split("; ").any(|it| it == part), "{method} {path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(
                answer.headers.get(name).map(String::as_str),
                Some(value),
                "{method} {path}"
            );
        }
        let permissions = &answer.headers["permissions-policy"];
        assert!(permissions.split(", ").all(|it| it.ends_with("=()")), "{permissions}");
        for name in ["set-cookie", "access-control-allow-origin", "server"] {
            assert!(!answer.headers.contains_key(name), "{name}");
        }
    }
}

#[test]
fn other_hosts_and_other_pages_are_refused_also_with_the_bearer() {
    let (_daemon, ui) = start();
    let ui = ui.enter();
    let (own, localhost) = (format!("127.0.0.1:{}", ui.port), format!("localhost:{}", ui.port));
    let authorization = ui.authorization();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "status" }).to_string();
    let status = |headers: &[(&str, &str)]| {
        let headers = [&[JSON, ("authorization", authorization.as_str())], headers].concat();
        ui.ask("POST", "/rpc", &headers, body.as_bytes()).status
    };
    assert_eq!((status(&[("host", &own)]), status(&[("host", &localhost)])), (200, 200));
    let (origin, other) = (format!("http://{localhost}"), format!("http://{own}"));
    assert_eq!(status(&[("host", &localhost), ("origin", &origin)]), 200);
    assert_eq!(status(&[("host", &localhost), ("origin", &other)]), 403);
    let evil = format!("evil.test:{}", ui.port);
    for host in [evil.as_str(), "127.0.0.1", "localhost", "127.0.0.1:1", "0.0.0.0", ""] {
        assert_eq!(status(&[("host", host)]), 421, "{host}");
    }
    let origin = format!("http://{own}");
    assert_eq!(status(&[("origin", &origin)]), 200);
    for origin in ["null", "http://evil.test", "http://127.0.0.1:1", &format!("https://{own}")] {
        assert_eq!(status(&[("origin", origin)]), 403, "{origin}");
    }
    assert_eq!(status(&[("sec-fetch-site", "same-origin")]), 200);
    for site in ["same-site", "cross-site", "none"] {
        assert_eq!(status(&[("sec-fetch-site", site)]), 403, "{site}");
    }
    // What a form of another page can send is no JSON.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let headers = [("content-type", kind), ("authorization", authorization.as_str())];
        assert_eq!(ui.ask("POST", "/rpc", &headers, body.as_bytes()).status, 415, "{kind}");
    }
    // The page itself opens from a file or a link, and not in a frame.
    let open = |site, dest| {
        let headers =
            [("sec-fetch-site", site), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", dest)];
        ui.ask("GET", "/", &headers, b"").status
    };
    for site in ["none", "cross-site", "same-site"] {
        assert_eq!((open(site, "document"), open(site, "iframe")), (200, 403), "{site}");
    }
}

#[test]
fn old_and_malformed_requests_are_answered_or_refused() {
    let (_daemon, ui) = start();
    let status = |request: String| {
        let mut stream = ui.connect();
        stream.write_all(request.as_bytes()).unwrap();
        http::read_response(&mut stream).unwrap().status
    };
    let host = format!("Host: 127.0.0.1:{}\r\n", ui.port);
    assert_eq!(status(format!("GET / HTTP/1.0\r\n{host}\r\n")), 200);
    assert_eq!(status("GET / HTTP/1.0\r\n\r\n".to_owned()), 421);
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n".to_owned()), 421);
    assert_eq!(status(format!("GET / HTTP/1.1\r\n{host}{host}\r\n")), 421);
    assert_eq!(status(format!("GET http://evil.test/ HTTP/1.1\r\n{host}\r\n")), 421);
    assert_eq!(status("CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n".to_owned()), 421);
    assert_eq!(status("GET / HTTP/3.0\r\n\r\n".to_owned()), 400);
    assert_eq!(status("nonsense\r\n\r\n".to_owned()), 400);
    assert_eq!(ui.ask("GET", "/", &[], b"").status, 200);
}
