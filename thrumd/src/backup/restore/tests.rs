use std::sync::Arc;

use serde_json::value::RawValue;
use tempfile::TempDir;
use thrum_api::{Draft, EventId};

use super::*;
use crate::ids;
use crate::keys::SecretKey;

/// Writes events with these ids to the log in a directory.
fn write(dir: &TempDir, key: &Arc<SecretKey>, event_ids: &[EventId]) {
    let draft = |event_id: &EventId| Draft {
        event_id: Some(*event_id),
        event_type: "test.happened".to_owned(),
        project: None,
        body: RawValue::from_string("{}".to_owned()).unwrap(),
    };
    let drafts: Vec<_> = event_ids.iter().map(draft).collect();
    let (path, files) = (dir.path().join(log::DATABASE), HeldFiles::new(dir.path()));
    let mut store = LogStore::open_file(&path, Arc::clone(key), &files).unwrap();
    store.append(&drafts).unwrap();
    store.close().unwrap();
}

#[test]
fn an_event_with_the_id_of_another_machine_s_event_is_missing() {
    let [present, backup, other] = [(); 3].map(|()| TempDir::new().unwrap());
    let [key, key_of_other] = [(); 2].map(|()| Arc::new(SecretKey::generate().unwrap()));
    let event_ids = [ids::event(), ids::event(), ids::event()];
    write(&present, &key, &event_ids[..2]);
    let files = [&present, &backup].map(|dir| dir.path().join(log::DATABASE));
    fs::copy(&files[0], &files[1]).unwrap();
    write(&other, &key_of_other, &event_ids);
    let missing_in = |backup: &TempDir| {
        let conn = Connection::open(uri(&backup.path().join(log::DATABASE), true)).unwrap();
        missing(&present.path().join(log::DATABASE), &conn).unwrap().unwrap()
    };
    assert_eq!((missing_in(&backup), missing_in(&other)), (0, 2));
    write(&present, &key, &event_ids[2..]);
    assert_eq!((missing_in(&backup), missing_in(&other)), (1, 3));
}
