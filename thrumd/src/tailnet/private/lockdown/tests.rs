use super::*;

fn config() -> PrivateConfig {
    PrivateConfig {
        state_dir: "/nowhere".into(),
        hostname: "ci-1".to_owned(),
        auth_key: None,
        control_url: None,
        ephemeral: false,
        binary: None,
        environment: Vec::new(),
        port: 9100,
        note: "/nowhere/process".into(),
        nft: Some("/nowhere/nft".into()),
    }
}

fn nobody() -> User {
    User { name: "nobody".to_owned(), uid: 65534, gid: 65534 }
}

#[test]
fn what_can_not_be_closed_is_said_with_the_reason() {
    let why = |config: &PrivateConfig, user: Option<&mut User>| {
        Exposure::make(config, user).problem(9100).unwrap()
    };
    let text = why(&config(), None);
    assert!(text.contains("let the policy allow port 9100 alone"), "{text}");
    assert!(text.contains("thrumd is not root"), "{text}");
    let mut user = nobody();
    let text = why(&PrivateConfig { nft: None, ..config() }, Some(&mut user));
    assert!(text.contains("nft (nftables) is not installed"), "{text}");
    let text = why(&config(), Some(&mut user));
    assert!(text.contains("/nowhere/nft could not be run: No such file"), "{text}");
    let refusing = PrivateConfig { nft: Some("/bin/false".into()), ..config() };
    let text = why(&refusing, Some(&mut user));
    assert!(text.contains("nft refused"), "{text}");
    assert_eq!(user, nobody(), "a group without a rule is of no use");
}

#[test]
fn two_daemons_have_two_groups_and_no_rule_is_about_others() {
    let rules = |port: u16| {
        let group = FIRST_GROUP + u32::from(port) % GROUPS;
        let needed = BTreeSet::from([DNS]);
        (group, Lockdown { nft: PathBuf::new(), group, port, needed }.rules())
    };
    let ((one, text), (two, _)) = (rules(9100), rules(9101));
    assert_ne!(one, two);
    let rejecting: Vec<_> = text.lines().filter(|line| line.contains("reject")).collect();
    assert_eq!(rejecting.len(), 2);
    for line in rejecting {
        assert!(line.starts_with(&format!("meta skgid {one} ")), "{line}");
        assert!(line.contains("th dport != { 53, 9100 }"), "{line}");
    }
}

#[test]
fn what_the_child_needs_on_this_machine_stays_open() {
    let dir = tempfile::tempdir().unwrap();
    let resolv = dir.path().join("resolv.conf");
    std::fs::write(&resolv, "search x\nnameserver 127.0.0.53\nnameserver 10.0.0.1\n").unwrap();
    let mut config = config();
    config.control_url = Some("https://controlplane.example.com".to_owned());
    let environment = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    };
    config.environment =
        environment(&[("PATH", "localhost:1"), ("HTTPS_PROXY", "proxy.example.com:3128")]);
    // systemd's name server has another address than the one that is closed.
    assert_eq!(needed(&config, &resolv), BTreeSet::new());
    std::fs::write(&resolv, "nameserver 127.0.0.1\n").unwrap();
    config.control_url = Some("https://localhost".to_owned());
    config.environment = environment(&[
        ("https_proxy", "127.0.0.1:3128"),
        ("no_proxy", "localhost"),
        ("HTTP_PROXY", "http://user:secret@localhost:3129/"),
    ]);
    assert_eq!(needed(&config, &resolv), BTreeSet::from([53, 443, 3128, 3129]));
    config.control_url = Some("not a url".to_owned());
    assert!(!needed(&config, Path::new("/nowhere")).contains(&443));
}

#[test]
fn a_group_that_somebody_has_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let groups = dir.path().join("group");
    std::fs::write(&groups, "root:x:0:\nbuilders:x:60724:ann\n").unwrap();
    assert!(has_group(&groups, 60724));
    assert!(!has_group(&groups, 60725));
    assert!(!has_group(Path::new("/nowhere"), 60724));
}
