//! Where metrics are served: a listener of its own, and a file for node_exporter.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use tests::harness::{
    Daemon, LONG, Port, SHORT, Scrape, Setup, ask_http, eventually, holds, output_within,
};

/// A daemon whose metrics can be scraped, and where. The port is taken as long as that is kept.
fn scraped() -> (Daemon, SocketAddr, Port) {
    let port = Port::take();
    let at = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let laptop = Setup::new("laptop").env("THRUM_METRICS_LISTEN", at).start();
    eventually(SHORT, || {
        ask_http(at, "GET", "/metrics", &[]).map(drop).map_err(|error| error.to_string())
    });
    (laptop, at, port)
}

#[test]
fn the_listener_has_metrics_alone() {
    let (laptop, at, _port) = scraped();
    laptop.append(["an event"]);
    let page = ask_http(at, "GET", "/metrics", &[]).unwrap();
    assert_eq!(
        (page.status, &*page.headers["content-type"]),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(Scrape::read(&page.text()).value("thrumd_log_head", &[]), 1.0);
    let open =
        ask_http(at, "GET", "/metrics", &[("accept", "application/openmetrics-text")]).unwrap();
    assert!(open.text().ends_with("# EOF\n"), "{}", open.text());
    for path in
        ["/", "/rpc", "/events", "/changes", "/backup", "/metrics/", "//metrics", "/metrics/../rpc"]
    {
        assert_eq!(ask_http(at, "GET", path, &[]).unwrap().status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let refused = ask_http(at, method, "/metrics", &[]).unwrap();
        assert_eq!((refused.status, &*refused.headers["allow"]), (405, "GET, HEAD"), "{method}");
    }
    for host in ["evil.test", "localhost.evil.test:9101", "10.0.0.1", "thrum"] {
        let refused = ask_http(at, "GET", "/metrics", &[("host", host)]).unwrap();
        assert_eq!(refused.status, 421, "{host}");
        assert!(!refused.text().contains("thrumd_"), "{host}");
    }
    let mut old = TcpStream::connect(at).unwrap();
    old.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    old.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("thrumd_log_head 1"), "{answer}");
}

#[test]
fn callers_that_send_nothing_or_too_much_keep_nobody_out_for_long() {
    let (_laptop, at, _port) = scraped();
    let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(at).unwrap()).collect();
    let long = "x".repeat(64 * 1024);
    let refused = eventually(LONG, || {
        ask_http(at, "GET", "/metrics", &[("x-long", &long)]).map_err(|error| error.to_string())
    });
    assert!(refused.status >= 400, "{}", refused.status);
    eventually(LONG, || {
        let page = ask_http(at, "GET", "/metrics", &[]).map_err(|error| error.to_string())?;
        holds(page.status == 200, || page.text())
    });
    drop(idle);
}

#[test]
fn an_address_that_others_can_reach_has_to_be_allowed() {
    for (address, words) in [
        ("0.0.0.0:9101", "metrics_listen_public = true"),
        ("[::]:9101", "metrics_listen_public = true"),
        ("192.0.2.1:9101", "metrics_listen_public = true"),
        ("localhost", "127.0.0.1:9101"),
        ("9101", "127.0.0.1:9101"),
    ] {
        let daemon = Setup::new("laptop").env("THRUM_METRICS_LISTEN", address).prepare();
        let refused = output_within(SHORT, &mut daemon.command()).unwrap();
        let text = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{address}: {text}");
        assert!(text.contains("metrics_listen") && text.contains(words), "{address}: {text}");
    }
    let port = Port::take();
    let setup =
        Setup::new("laptop").env("THRUM_METRICS_LISTEN", format!("0.0.0.0:{}", port.number()));
    let _laptop = setup.env("THRUM_METRICS_LISTEN_PUBLIC", true).start();
    let at = SocketAddr::from(([127, 0, 0, 1], port.number()));
    eventually(SHORT, || {
        // By the name that a network of containers gives it.
        let page = ask_http(at, "GET", "/metrics", &[("host", "laptop")]);
        let status = page.map_err(|error| error.to_string())?.status;
        holds(status == 200, || status.to_string())
    });
    let refused = ask_http(at, "GET", "/metrics", &[("host", "laptop.evil.test")]).unwrap();
    assert_eq!(refused.status, 421);
}

#[test]
fn a_port_that_is_taken_keeps_no_message_from_anybody_and_is_tried_again() {
    let port = Port::take();
    let at = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let other = TcpListener::bind(at).unwrap();
    let laptop = Setup::new("laptop").env("THRUM_METRICS_LISTEN", at).start();
    laptop.append(["all the same"]);
    eventually(SHORT, || laptop.reports("is taken by another program"));
    assert_eq!(laptop.scrape().value("thrumd_problems", &[("id", "metrics_listen")]), 1.0);
    drop(other);
    eventually(LONG, || {
        let page = ask_http(at, "GET", "/metrics", &[]).map_err(|error| error.to_string())?;
        let problems = laptop.status().problems;
        holds(page.status == 200 && problems.is_empty(), || format!("{problems:?}"))
    });
}

#[test]
fn the_client_prints_metrics_and_writes_whole_files_for_node_exporter() {
    let mut laptop = Daemon::start("laptop");
    laptop.append(["an event"]);
    let printed = Scrape::read(&laptop.thrum(&["metrics"]).exits(0).stdout);
    assert_eq!(printed.value("thrumd_log_head", &[]), 1.0);
    assert!(printed.types.contains_key("process_open_fds"));
    laptop.thrum(&["metrics", "--json"]).exits(2);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thrum.prom");
    let name = path.to_str().unwrap();
    let written = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !written.load(Ordering::Relaxed) {
                let Ok(text) = std::fs::read_to_string(&path) else { continue };
                assert!(text.ends_with('\n'), "{text}");
                assert_eq!(Scrape::read(&text).types.len(), printed.types.len() - 5);
                read += 1;
            }
            read
        });
        for n in 0..20 {
            laptop.append([n]);
            laptop.thrum(&["metrics", "-q", "--textfile", name]).exits(0);
        }
        written.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    let page = Scrape::read(&std::fs::read_to_string(&path).unwrap());
    assert_eq!(page.value("thrumd_log_head", &[]), 21.0);
    // node_exporter has these of itself, and refuses two.
    assert!(page.types.keys().all(|family| family.starts_with("thrumd_")), "{:?}", page.types);
    let there: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(there.len(), 1, "{there:?}");

    let other = folder.path().join("thrum.txt");
    let refused = laptop.thrum(&["metrics", "--textfile", other.to_str().unwrap()]).exits(2);
    assert!(refused.stderr.contains(".prom") && !other.exists(), "{refused:?}");
    let missing = folder.path().join("none/thrum.prom");
    laptop.thrum(&["metrics", "--textfile", missing.to_str().unwrap()]).exits(1);
    laptop.stop();
    let before = std::fs::read(&path).unwrap();
    laptop.thrum(&["metrics", "--textfile", name]).exits(3);
    assert_eq!(std::fs::read(&path).unwrap(), before, "what was there stays");
}
