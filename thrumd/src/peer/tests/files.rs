use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::{Identity, IdentityError, Registry, RegistryError};
use super::{caller, node, peer, token_of};
use crate::report::Chain;
use crate::statefile::SYNC_FAILS;

fn machine(dir: &Path, id: &str) -> PathBuf {
    let path = dir.join("machine-id");
    std::fs::write(&path, format!("{id}\n")).unwrap();
    path
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(dir: &Path, name: &str) -> u32 {
    std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777
}

/// A registry in a new directory.
fn registry() -> (tempfile::TempDir, Registry) {
    let dir = tempfile::tempdir().unwrap();
    let (registry, _) = Registry::open(dir.path()).unwrap();
    (dir, registry)
}

#[test]
fn an_identity_is_made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let machine = machine(dir.path(), "m1");
    let mut first = Identity::load(dir.path(), &machine).unwrap();
    assert!(!first.foreign && !first.had_database);
    first.note_database(dir.path()).unwrap();
    let second = Identity::load(dir.path(), &machine).unwrap();
    assert_eq!(second.daemon_id, first.daemon_id);
    assert!(second.had_database && !second.foreign);
    assert_eq!(mode(dir.path(), "identity.json"), 0o600);
}

#[test]
fn a_directory_copied_to_another_machine_is_foreign_until_reset() {
    let dir = tempfile::tempdir().unwrap();
    let here = machine(dir.path(), "m1");
    let mut old = Identity::load(dir.path(), &here).unwrap();
    old.note_database(dir.path()).unwrap();
    machine(dir.path(), "m2");
    let copy = Identity::load(dir.path(), &here).unwrap();
    assert!(copy.foreign);
    let new = Identity::reset(dir.path(), &here).unwrap();
    assert_ne!(new.daemon_id, old.daemon_id);
    assert!(!new.foreign && new.had_database);
    let again = Identity::load(dir.path(), &here).unwrap();
    assert_eq!((again.daemon_id, again.foreign), (new.daemon_id, false));
    assert_eq!(again.former, [old.daemon_id]);
    let third = Identity::reset(dir.path(), &here).unwrap();
    assert_eq!(third.former, [old.daemon_id, new.daemon_id]);
}

#[tokio::test]
async fn a_reset_forgets_the_peers_and_keeps_sync_turned_on() {
    let (dir, registry) = registry();
    registry.put(peer("vm-1")).await.unwrap();
    registry.want_sync().await.unwrap();
    Identity::reset(dir.path(), &dir.path().join("absent")).unwrap();
    let (registry, warning) = Registry::open(dir.path()).unwrap();
    assert!(registry.all().is_empty() && registry.sync_wanted() && warning.is_none());
}

#[test]
fn a_machine_without_an_id_is_never_foreign() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    let first = Identity::load(dir.path(), &absent).unwrap();
    let machine = machine(dir.path(), "m1");
    for file in [&machine, &absent] {
        let now = Identity::load(dir.path(), file).unwrap();
        assert_eq!((now.daemon_id, now.foreign), (first.daemon_id, false));
    }
    // The machine id was stored when there was one.
    std::fs::write(&machine, "m2").unwrap();
    assert!(Identity::load(dir.path(), &machine).unwrap().foreign);
}

#[test]
fn a_damaged_identity_is_an_error_and_no_new_identity() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    for damage in ["", "{", "{\"daemon_id\":\"d_nonsense\"}"] {
        std::fs::write(dir.path().join("identity.json"), damage).unwrap();
        let error = Identity::load(dir.path(), &absent).unwrap_err();
        assert!(matches!(error, IdentityError::Damaged { .. }), "{error:?}");
        let text = Chain(&error).to_string();
        assert!(text.contains("identity.json") && text.contains("reset-identity"), "{text}");
        assert_eq!(std::fs::read_to_string(dir.path().join("identity.json")).unwrap(), damage);
    }
    Identity::reset(dir.path(), &absent).unwrap();
    assert!(names(dir.path()).iter().any(|name| name.starts_with("identity.json.damaged-")));
}

#[tokio::test]
async fn peers_survive_a_restart_in_a_private_file() {
    let dir = tempfile::tempdir().unwrap();
    let (registry, warning) = Registry::open(dir.path()).unwrap();
    assert!(warning.is_none() && names(dir.path()).is_empty());
    let vm = peer("vm-1");
    registry.put(vm.clone()).await.unwrap();
    registry.want_sync().await.unwrap();
    assert_eq!(mode(dir.path(), "peers.json"), 0o600);
    assert_eq!(names(dir.path()), ["peers.json"]);

    let (again, _) = Registry::open(dir.path()).unwrap();
    assert!(again.sync_wanted());
    let held = again.get(vm.daemon_id).unwrap();
    assert_eq!((held.name.as_str(), held.address.as_str()), ("vm-1", "127.0.0.1:9101"));
    assert!(held.token.matches(vm.token.expose()));
    assert_eq!(again.address_of(vm.daemon_id), Some("127.0.0.1:9101".parse().unwrap()));
    assert!(again.remove(vm.daemon_id).await.unwrap());
    assert!(!again.remove(vm.daemon_id).await.unwrap());
    assert!(again.all().is_empty());
}

#[tokio::test]
async fn pairing_again_replaces_the_token_and_keeps_when_it_was_paired() {
    let (_dir, registry) = registry();
    let mut first = peer("vm-1");
    first.paired_at = thrum_api::Timestamp::from_millis(1000);
    registry.put(first.clone()).await.unwrap();
    registry.update(first.daemon_id, |peer| peer.removed_us = true).await.unwrap();
    let again = super::Peer { daemon_id: first.daemon_id, ..peer("renamed") };
    registry.put(again.clone()).await.unwrap();
    assert_eq!(registry.all().len(), 1);
    let held = registry.get(first.daemon_id).unwrap();
    assert_eq!((held.name.as_str(), held.removed_us), ("renamed", false));
    assert_eq!(held.paired_at, first.paired_at);
    assert!(registry.authenticate(first.token.expose(), &caller("127.0.0.1")).is_err());
    let found = registry.authenticate(again.token.expose(), &caller("127.0.0.1"));
    assert_eq!(found, Ok(first.daemon_id));
}

#[tokio::test]
async fn the_file_is_written_only_when_something_changed() {
    let (dir, registry) = registry();
    let vm = peer("vm-1");
    registry.put(vm.clone()).await.unwrap();
    let changes = registry.watch();
    std::fs::remove_file(dir.path().join("peers.json")).unwrap();
    registry.update(vm.daemon_id, |peer| peer.unconfirmed = false).await.unwrap();
    assert!(names(dir.path()).is_empty() && !changes.has_changed().unwrap());
    registry.update(vm.daemon_id, |peer| peer.unconfirmed = true).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(names(dir.path()), ["peers.json"]);
}

#[tokio::test]
async fn a_failed_write_changes_nothing_and_names_the_path() {
    let (dir, registry) = registry();
    // A directory in place of the file can't be replaced, not even by root.
    std::fs::create_dir_all(dir.path().join("peers.json/x")).unwrap();
    let error = registry.put(peer("vm-1")).await.unwrap_err();
    assert!(Chain(&error).to_string().contains("peers.json"), "{}", Chain(&error));
    assert!(registry.all().is_empty());
    assert_eq!(names(dir.path()), ["peers.json"]);
}

#[tokio::test]
async fn a_change_that_is_in_the_file_counts_although_it_is_reported_as_unsafe() {
    let (dir, registry) = registry();
    let peer = peer("alpha");
    registry.put(peer.clone()).await.unwrap();
    let changes = registry.watch();
    std::fs::write(dir.path().join(SYNC_FAILS), "").unwrap();
    let error = registry.remove(peer.daemon_id).await.unwrap_err();
    assert!(Chain(&error).to_string().contains("could not sync"), "{}", Chain(&error));
    assert!(registry.all().is_empty(), "removed on disk, and still a peer");
    assert!(changes.has_changed().unwrap());
    assert!(Registry::open(dir.path()).unwrap().0.all().is_empty());
}

#[tokio::test]
async fn a_damaged_list_of_peers_is_moved_aside_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let damage = "{\"peers\":[{\"daemon_id\":";
    std::fs::write(dir.path().join("peers.json"), damage).unwrap();
    let (registry, warning) = Registry::open(dir.path()).unwrap();
    assert!(registry.all().is_empty());
    let aside = names(dir.path());
    assert!(aside.len() == 1 && aside[0].starts_with("peers.json.damaged-"), "{aside:?}");
    assert_eq!(std::fs::read_to_string(dir.path().join(&aside[0])).unwrap(), damage);
    let warning = warning.unwrap();
    assert!(warning.contains(&aside[0]) && warning.contains("thrum peer add"), "{warning}");
}

#[tokio::test]
async fn members_of_later_versions_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peers.json");
    let (id, token) = (crate::testing::daemon(), crate::ids::token().unwrap());
    let text = format!(
        r#"{{"later":[1],"peers":[{{"daemon_id":"{id}","name":"vm","address":"h:1",
        "token":"{}","paired_at":"2026-11-24T16:00:00.123Z","colour":"red"}}]}}"#,
        token.expose()
    );
    std::fs::write(&path, text).unwrap();
    let (registry, warning) = Registry::open(dir.path()).unwrap();
    assert_eq!(warning, None);
    registry.want_sync().await.unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept["later"], serde_json::json!([1]));
    assert_eq!(kept["peers"][0]["colour"], "red");
    assert_eq!(kept["sync_wanted"], true);
    // It was readable by others, and holds a token.
    assert_eq!(mode(dir.path(), "peers.json"), 0o600);
}

#[tokio::test]
async fn a_token_is_valid_only_from_the_node_it_was_issued_to() {
    let (_dir, registry) = registry();
    let vm = super::Peer { node: Some("n1".into()), ..peer("vm-1") };
    registry.put(peer("other")).await.unwrap();
    registry.put(vm.clone()).await.unwrap();
    let token = token_of(&registry, vm.daemon_id);
    use super::super::RefusedToken::{OtherNode, Unknown};
    assert_eq!(registry.authenticate(token.expose(), &node("n1")), Ok(vm.daemon_id));
    assert_eq!(registry.authenticate(token.expose(), &node("n2")), Err(OtherNode));
    assert_eq!(registry.authenticate(token.expose(), &caller("127.0.0.1")), Err(OtherNode));
    assert_eq!(registry.refused_elsewhere(vm.daemon_id), 2);
    let looped = peer("looped");
    registry.put(looped.clone()).await.unwrap();
    let given_without_a_node = token_of(&registry, looped.daemon_id);
    let (token, from) = (given_without_a_node.expose(), caller("127.0.0.1"));
    assert_eq!(registry.authenticate(token, &from), Ok(looped.daemon_id));
    assert_eq!(registry.authenticate(token, &node("n1")), Err(OtherNode));
    let token = token_of(&registry, vm.daemon_id);
    assert_eq!(registry.authenticate("", &node("n1")), Err(Unknown));
    assert_eq!(registry.authenticate(&token.expose()[..63], &node("n1")), Err(Unknown));
    assert_eq!(registry.refused_elsewhere(vm.daemon_id), 2);
}

#[tokio::test]
async fn peers_are_found_by_name_or_id_and_similar_names_are_listed() {
    let (_dir, registry) = registry();
    let text = |typed: &str| registry.find(typed).map(|peer| peer.name).map_err(|e| e.to_string());
    assert!(text("x").unwrap_err().contains("thrum peer add"));
    let (a, b, c) = (peer("Office-Server"), peer("twin"), peer("twin"));
    registry.put(a.clone()).await.unwrap();
    assert!(text("ofice-servr").unwrap_err().ends_with("did you mean \"Office-Server\"?"));
    assert!(text("zzz").unwrap_err().ends_with("; there is only \"Office-Server\""));
    for peer in [&b, &c] {
        registry.put((*peer).clone()).await.unwrap();
    }
    assert_eq!(text("office-server").unwrap(), "Office-Server");
    assert_eq!(registry.find(&b.daemon_id.to_string()).unwrap().daemon_id, b.daemon_id);
    // As it is shown, which scripts read from the JSON.
    let shown = registry.label(&b, (crate::testing::daemon(), "own"), |peer| peer.name.clone());
    assert_ne!(shown, "twin");
    assert_eq!(registry.find(&shown).unwrap().daemon_id, b.daemon_id, "{shown}");
    assert!(text("office").unwrap_err().contains("did you mean \"Office-Server\"?"));
    assert!(text("ofice-servr").unwrap_err().contains("did you mean \"Office-Server\"?"));
    assert!(text("zzz").unwrap_err().contains("Office-Server, twin, twin"));
    let error = registry.find("twin").unwrap_err();
    assert!(matches!(&error, RegistryError::Ambiguous { .. }));
    let error = error.to_string();
    assert!(error.contains(&b.daemon_id.to_string()) && error.contains(&c.daemon_id.to_string()));
}

#[tokio::test]
async fn changes_that_come_at_once_are_all_kept() {
    let (dir, registry) = registry();
    let puts = (0..20).map(|n| {
        let registry = registry.clone();
        tokio::spawn(async move { registry.put(peer(&format!("vm-{n}"))).await })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap().unwrap();
    }
    let (again, _) = Registry::open(dir.path()).unwrap();
    assert_eq!((again.all().len(), registry.all().len()), (20, 20));
}

#[test]
fn changes_that_wait_for_the_disk_take_one_blocking_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (_dir, registry) = registry();
        let peer = peer("laptop");
        registry.put(peer.clone()).await.unwrap();
        let (begun, is_begun) = tokio::sync::oneshot::channel();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let change = |wait: Box<dyn FnOnce() + Send>| {
            let (registry, id) = (registry.clone(), peer.daemon_id);
            tokio::spawn(async move { registry.update(id, |_| wait()).await.unwrap() })
        };
        let mut changes = vec![change(Box::new(move || {
            begun.send(()).unwrap();
            is_done.recv().unwrap();
        }))];
        is_begun.await.unwrap();
        changes.extend((0..5).map(|_| change(Box::new(|| {}))));
        tokio::task::yield_now().await;
        let others = tokio::task::spawn_blocking(|| {});
        let ran = tokio::time::timeout(Duration::from_secs(10), others).await.is_ok();
        done.send(()).unwrap();
        for change in changes {
            assert!(change.await.unwrap().is_some());
        }
        assert!(ran, "the other thread is free");
    });
}
