use super::address::{Host, HostPort};
use super::{Presence, Settings, Tailnet, TailnetError};

fn loopback() -> Tailnet {
    Tailnet::open(Settings::Loopback { hostname: "my-laptop".to_owned() }).unwrap()
}

fn parse(typed: &str) -> Option<(Host, u16)> {
    typed.parse::<HostPort>().ok().map(|it| (it.host, it.port))
}

#[test]
fn typed_addresses_are_parsed() {
    let ip = |text: &str| Host::Ip(text.parse().unwrap());
    let name = |text: &str| Host::Name(text.to_owned());
    assert_eq!(parse("my-laptop"), Some((name("my-laptop"), 9100)));
    assert_eq!(parse(" My-Laptop.:9101 "), Some((name("my-laptop"), 9101)));
    assert_eq!(parse("100.64.0.7"), Some((ip("100.64.0.7"), 9100)));
    assert_eq!(parse("100.64.0.7:1"), Some((ip("100.64.0.7"), 1)));
    assert_eq!(parse("fd7a::1"), Some((ip("fd7a::1"), 9100)));
    assert_eq!(parse("[fd7a::1]:7"), Some((ip("fd7a::1"), 7)));
    assert_eq!(parse("[fd7a::1]"), Some((ip("fd7a::1"), 9100)));
    for wrong in ["", ":9100", "a b", "a:0", "a:70000", "a:b", "[::1", "[::1]9", "[x]:1", "ä"] {
        assert_eq!(parse(wrong), None, "{wrong:?}");
    }
}

#[tokio::test]
async fn the_loopback_kind_resolves_only_this_machine() {
    let tailnet = loopback();
    let found = tailnet.resolve("localhost:9101").await.unwrap();
    assert_eq!(found.addresses, vec!["127.0.0.1:9101".parse().unwrap()]);
    let found = tailnet.resolve("My-Laptop:9101").await.unwrap();
    assert_eq!(found.addresses, vec!["127.0.0.1:9101".parse().unwrap()]);
    let found = tailnet.resolve("127.3.4.5").await.unwrap();
    assert_eq!(found.addresses, vec!["127.3.4.5:9100".parse().unwrap()]);
    let refused = tailnet.resolve("100.64.0.7:9100").await.unwrap_err();
    assert!(refused.to_string().contains("only reaches this machine"), "{refused}");
}

#[tokio::test]
async fn the_loopback_kind_knows_and_dials_nobody_elsewhere() {
    let tailnet = loopback();
    let caller = tailnet.whois("127.0.0.1:5".parse().unwrap()).await.unwrap();
    assert_eq!(caller.node, None);
    let unknown = tailnet.whois("192.0.2.1:5".parse().unwrap()).await;
    assert!(matches!(unknown, Err(TailnetError::UnknownCaller { .. })));
    let refused = tailnet.connect("192.0.2.1:5".parse().unwrap()).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn the_loopback_kind_is_always_up() {
    let Presence::Up { addresses, hostname } = loopback().presence().borrow().clone() else {
        panic!("not up");
    };
    assert_eq!(addresses, vec!["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(hostname, "my-laptop");
}
