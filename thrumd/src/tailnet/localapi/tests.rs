use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::fake::Fake;
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
    assert!(matches!(asked, Err(ApiError::Unknown { .. })), "{asked:?}");
    assert_eq!(fake.asked(), [format!("GET {query}")]);

    fake.set(query, 403, "whois access denied\n");
    let asked = client(&fake).whois(address).await.unwrap_err();
    assert!(matches!(&asked, ApiError::Forbidden { said, .. } if said == "whois access denied"));

    fake.set(query, 500, r#"{"error":"on fire"}"#);
    let asked = client(&fake).whois(address).await.unwrap_err();
    assert!(matches!(&asked, ApiError::Refused { said, .. } if said == "on fire"), "{asked:?}");

    fake.set(query, 200, "<html>");
    let asked = client(&fake).whois(address).await.unwrap_err();
    assert!(matches!(asked, ApiError::Garbled { .. }), "{asked:?}");

    fake.set(query, 200, format!("\"{}\"", "x".repeat(ANSWER_LIMIT)));
    let asked = client(&fake).whois(address).await.unwrap_err();
    assert!(matches!(asked, ApiError::Body { .. }), "a body without end: {asked:?}");
}

#[tokio::test]
async fn a_missing_and_a_dead_socket_are_told_apart() {
    let mut fake = Fake::start();
    let client = client(&fake);
    fake.down();
    crate::tailnet::tailscaled::until(async || {
        matches!(client.status(false).await, Err(ApiError::Dead { .. }))
    })
    .await;
    fake.remove_socket();
    let asked = client.status(false).await.unwrap_err();
    assert!(matches!(asked, ApiError::Absent { .. }), "{asked:?}");
}

#[tokio::test]
async fn who_calls_comes_with_owner_tags_and_grants() {
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
async fn the_stream_of_news_ends_when_it_is_cut() {
    let mut fake = Fake::start();
    let mut bus = client(&fake).watch().await.unwrap();
    assert!(bus.news().await.is_some(), "the first message comes by itself");
    fake.news("{\"Prefs\":{}}\n");
    assert_eq!(bus.news().await, Some(News::default()));
    fake.down();
    assert_eq!(bus.news().await, None);
    assert_eq!(bus.news().await, None, "and stays ended");
}

#[tokio::test]
async fn the_news_tells_who_was_away_and_is_back() {
    let fake = Fake::start();
    let mut bus = client(&fake).watch().await.unwrap();
    bus.news().await.unwrap();
    let told = async |bus: &mut Bus, text: &str| {
        fake.news(text);
        let news = bus.news().await.unwrap();
        (news.about_us, news.back.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(told(&mut bus, "{\"SelfChange\":{\"ID\":1}}\n").await, (true, vec![]));
    let two = "{\"PeersChanged\":[{\"ID\":4,\"Online\":true},{\"ID\":5}],\"SelfChange\":null}\n\
        {\"PeerChangedPatch\":[{\"NodeID\":2,\"Online\":true},{\"NodeID\":3,\"Online\":false}]}\n";
    assert_eq!(told(&mut bus, two).await, (false, vec![2, 4]));
    // In pieces, and with a message between that is too long to be read.
    assert_eq!(told(&mut bus, "{\"SelfCha").await, (false, vec![]));
    assert_eq!(told(&mut bus, "nge\":{}}\n{\"NetMap\":\"").await, (true, vec![]));
    assert_eq!(told(&mut bus, &"x".repeat(300_000)).await, (false, vec![]));
    fake.news("\",\"SelfChange\":{}}\n{\"SelfChange\":{},\"State\":6}\n");
    let mut all = News::default();
    while !all.about_us {
        all.add(bus.news().await.unwrap());
    }
    fake.news("no json\n");
    assert_eq!(bus.news().await, Some(News::default()));
}

#[tokio::test]
async fn an_older_tailscaled_is_asked_for_less() {
    let fake = Fake::start();
    fake.set("mask=45074", 400, "bad mask\n");
    let mut bus = client(&fake).watch().await.unwrap();
    assert!(bus.news().await.is_some());
    let asked = fake.asked();
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
async fn a_ping_tells_the_way() {
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
async fn a_login_is_asked_for_and_a_refusal_told() {
    let fake = Fake::start();
    fake.set("login-interactive", 204, "");
    let client = client(&fake);
    client.login_interactive().await.unwrap();
    fake.set("login-interactive", 403, "access denied\n");
    let refused = client.login_interactive().await;
    assert!(matches!(refused, Err(ApiError::Forbidden { .. })));
    assert_eq!(fake.asked(), ["POST login-interactive", "POST login-interactive"]);
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
    assert!(matches!(asked, Err(ApiError::Broken { .. })), "{asked:?}");
}
