use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::ANSWER_LIMIT;
use super::fake::Fake;
use super::types::Via;
use super::*;

fn client(fake: &Fake) -> Client {
    Client::new(Endpoint::Unix(fake.socket()))
}

#[tokio::test]
async fn a_status_may_lack_fields_and_have_nulls() {
    let fake = Fake::start();
    fake.set("status?peers=false", 200, "{}");
    let status = client(&fake).status(false).await.unwrap();
    assert_eq!(status.backend_state, BackendState::NoState);
    assert_eq!(status.tun, None);

    // As a logged-out tailscaled 1.96 answers.
    let logged_out = r#"{"Version":"1.96.4","TUN":true,"BackendState":"NeedsLogin","AuthURL":"",
        "TailscaleIPs":null,"Self":{"ID":"","HostName":"a","DNSName":"","UserID":0,
        "TailscaleIPs":null,"Addrs":[],"Online":false,"CapMap":null},"Health":["You are logged out."],
        "CurrentTailnet":null,"Peer":null,"User":null,"ClientVersion":null}"#;
    fake.set("status", 200, logged_out);
    let status = client(&fake).status(true).await.unwrap();
    assert_eq!(status.backend_state, BackendState::NeedsLogin);
    assert!(status.tailscale_ips.is_empty() && status.peer.is_empty());
    assert_eq!(status.health, ["You are logged out."]);

    fake.set("status", 200, r#"{"BackendState":"Dancing","Self":null}"#);
    let status = client(&fake).status(true).await.unwrap();
    assert_eq!(status.backend_state, BackendState::Other("Dancing".to_owned()));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let fake = Fake::start();
    let address = "100.64.0.2:4711".parse().unwrap();
    let query = "whois?proto=tcp&addr=100.64.0.2%3A4711";
    let asked = client(&fake).whois(address).await;
    assert!(matches!(asked, Err(ApiError::NotFound { .. })), "{asked:?}");
    assert_eq!(fake.requests(), [format!("GET {query}")]);

    fake.set(query, 403, "whois access denied\n");
    let asked = client(&fake).whois(address).await.unwrap_err();
    assert!(
        matches!(&asked, ApiError::Forbidden { message, .. } if message == "whois access denied")
    );

    fake.set(query, 500, r#"{"error":"on fire"}"#);
    let asked = client(&fake).whois(address).await.unwrap_err();
    assert!(
        matches!(&asked, ApiError::Refused { message, .. } if message == "on fire"),
        "{asked:?}"
    );

    fake.set(query, 200, "<html>");
    let asked = client(&fake).whois(address).await.unwrap_err();
    assert!(matches!(asked, ApiError::InvalidJson { .. }), "{asked:?}");

    fake.set(query, 200, format!("\"{}\"", "x".repeat(ANSWER_LIMIT)));
    let asked = client(&fake).whois(address).await.unwrap_err();
    assert!(matches!(asked, ApiError::TooLarge { .. }), "a body without end: {asked:?}");
}

#[tokio::test]
async fn a_missing_socket_and_one_that_refuses_are_told_apart() {
    let mut fake = Fake::start();
    let client = client(&fake);
    fake.down();
    crate::testing::until(async || {
        matches!(client.status(false).await, Err(ApiError::NotListening { .. }))
    })
    .await;
    fake.remove_socket();
    let asked = client.status(false).await.unwrap_err();
    assert!(matches!(asked, ApiError::NoSocket { .. }), "{asked:?}");
}

#[tokio::test]
async fn whois_has_owner_tags_and_grants() {
    let fake = Fake::start();
    let answer = r#"{"Node":{"ID":2,"StableID":"n2","Name":"b.tail.test.","User":1,
        "Addresses":["100.64.0.2/32","fd7a:115c:a1e0::2/128"],"Tags":["tag:ci"],"Online":true},
        "UserProfile":{"ID":1,"LoginName":"al@example.com","DisplayName":"Al"},
        "CapMap":{"example.com/cap/thrum":[{"projects":["*"]}],"other":null}}"#;
    fake.set("whois?proto=tcp&addr=%5Bfd7a%3A115c%3Aa1e0%3A%3A2%5D%3A7", 200, answer);
    let whois = client(&fake).whois("[fd7a:115c:a1e0::2]:7".parse().unwrap()).await.unwrap();
    assert_eq!((whois.node.stable_id.as_str(), whois.user_profile.id), ("n2", 1));
    let ips: Vec<_> = whois.node.ips().map(|ip| ip.to_string()).collect();
    assert_eq!(ips, ["100.64.0.2", "fd7a:115c:a1e0::2"]);
    assert_eq!(whois.cap_map["other"], None);
    assert_eq!(whois.cap_map["example.com/cap/thrum"].as_ref().unwrap()[0]["projects"][0], "*");
}

#[tokio::test]
async fn the_bus_ends_when_its_connection_breaks() {
    let mut fake = Fake::start();
    let mut bus = client(&fake).watch().await.unwrap();
    assert!(bus.next().await.is_some(), "the first message comes by itself");
    fake.update("{\"Prefs\":{}}\n");
    assert_eq!(bus.next().await, Some(BusUpdate::default()));
    fake.down();
    assert_eq!(bus.next().await, None);
    assert_eq!(bus.next().await, None, "and stays ended");
}

#[tokio::test]
async fn the_bus_tells_which_nodes_were_offline_and_are_back() {
    let fake = Fake::start();
    let mut bus = client(&fake).watch().await.unwrap();
    bus.next().await.unwrap();
    let changes = async |bus: &mut IpnBus, text: &str| {
        fake.update(text);
        let update = bus.next().await.unwrap();
        (update.self_changed, update.back_online.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(changes(&mut bus, "{\"SelfChange\":{\"ID\":1}}\n").await, (true, vec![]));
    let two = "{\"PeersChanged\":[{\"ID\":4,\"Online\":true},{\"ID\":5}],\"SelfChange\":null}\n\
        {\"PeerChangedPatch\":[{\"NodeID\":2,\"Online\":true},{\"NodeID\":3,\"Online\":false}]}\n";
    assert_eq!(changes(&mut bus, two).await, (false, vec![2, 4]));
    // In pieces, and with a message between that is too long to be read.
    assert_eq!(changes(&mut bus, "{\"SelfCha").await, (false, vec![]));
    assert_eq!(changes(&mut bus, "nge\":{}}\n{\"NetMap\":\"").await, (true, vec![]));
    assert_eq!(changes(&mut bus, &"x".repeat(300_000)).await, (false, vec![]));
    fake.update("\",\"SelfChange\":{}}\n{\"SelfChange\":{},\"State\":6}\n");
    let mut all = BusUpdate::default();
    while !all.self_changed {
        all.merge(bus.next().await.unwrap());
    }
    fake.update("no json\n");
    assert_eq!(bus.next().await, Some(BusUpdate::default()));
}

#[tokio::test]
async fn an_older_tailscaled_is_asked_for_less() {
    let fake = Fake::start();
    fake.set("mask=45074", 400, "bad mask\n");
    let mut bus = client(&fake).watch().await.unwrap();
    assert!(bus.next().await.is_some());
    let asked = fake.requests();
    assert_eq!(asked, ["GET watch-ipn-bus?mask=45074", "GET watch-ipn-bus?mask=18"]);
    fake.set("mask=18", 403, "watch ipn bus access denied\n");
    assert!(matches!(client(&fake).watch().await, Err(ApiError::Forbidden { .. })));
}

#[tokio::test]
async fn a_dial_becomes_a_stream_in_both_directions() {
    let fake = Fake::start();
    let mut stream = client(&fake).dial("100.64.0.3:9100".parse().unwrap()).await.unwrap();
    let mut hello = [0; 21];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello from 100.64.0.3");
    let sent = vec![7; 300_000];
    let (mut from, mut into) = tokio::io::split(stream);
    let (written, read) = tokio::join!(into.write_all(&sent), async {
        let mut back = vec![0; sent.len()];
        from.read_exact(&mut back).await.map(|_| back)
    });
    written.unwrap();
    assert_eq!(read.unwrap(), sent);
}

#[tokio::test]
async fn a_dial_that_fails_has_the_kind_of_a_failed_connect() {
    let fake = Fake::start();
    let to = "100.64.0.3:1".parse().unwrap();
    let kind = async |code, said: &str| {
        fake.set("dial", code, said);
        client(&fake).dial(to).await.err().unwrap().into_io().kind()
    };
    assert_eq!(
        kind(502, "dial failure: connect: connection refused").await,
        ErrorKind::ConnectionRefused
    );
    assert_eq!(kind(502, "dial failure: context deadline exceeded").await, ErrorKind::TimedOut);
    assert_eq!(kind(200, "").await, ErrorKind::AddrNotAvailable, "dial it yourself");
    assert_eq!(kind(500, "?").await, ErrorKind::Other);
}

#[tokio::test]
async fn a_ping_tells_the_path() {
    let fake = Fake::start();
    let ping = async |answer: &str| {
        fake.set("ping?type=disco&ip=100.64.0.2", 200, answer);
        client(&fake).ping("100.64.0.2".parse().unwrap()).await
    };
    let direct = r#"{"IP":"100.64.0.2","Err":"","LatencySeconds":0.0025,
        "Endpoint":"10.77.0.12:41641","PeerRelay":"","DERPRegionID":0,"DERPRegionCode":""}"#;
    let path = ping(direct).await.unwrap();
    assert_eq!(path.via, Via::Direct("10.77.0.12:41641".to_owned()));
    assert_eq!(path.round_trip, Duration::from_micros(2500));
    let relay = r#"{"LatencySeconds":-1,"Endpoint":"","DERPRegionID":999,"DERPRegionCode":"fra"}"#;
    let path = ping(relay).await.unwrap();
    assert_eq!((path.via, path.round_trip), (Via::Relay("fra".to_owned()), Duration::ZERO));
    let none = ping(r#"{"Err":"no matching peer"}"#).await;
    assert!(matches!(none, Err(ApiError::Ping { .. })));
}

#[tokio::test]
async fn a_login_can_be_started_and_refused() {
    let fake = Fake::start();
    fake.set("login-interactive", 204, "");
    let client = client(&fake);
    client.login_interactive().await.unwrap();
    fake.set("login-interactive", 403, "access denied\n");
    let refused = client.login_interactive().await;
    assert!(matches!(refused, Err(ApiError::Forbidden { .. })));
    assert_eq!(fake.requests(), ["POST login-interactive", "POST login-interactive"]);
}

#[tokio::test]
async fn something_that_is_no_tailscaled_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
    });
    let asked = Client::new(Endpoint::Unix(path)).status(false).await;
    assert!(matches!(asked, Err(ApiError::Failed { .. })), "{asked:?}");
}

#[tokio::test]
async fn over_tcp_the_password_goes_with_an_empty_user() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        String::from_utf8(head).unwrap()
    });
    let endpoint = Endpoint::Tcp { port, password: "0123456789abcdef".to_owned() };
    Client::new(endpoint).status(true).await.unwrap();
    let head = served.await.unwrap();
    assert!(head.starts_with("GET /localapi/v0/status HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Basic OjAxMjM0NTY3ODlhYmNkZWY=\r\n"), "{head}");
    assert!(head.contains("host: local-tailscaled.sock\r\n"), "{head}");
}
