//! The key file beside the identity: neither is used without the other that fits it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use thrum_api::label::short_id;

use super::super::{Identity, IdentityError, KeyFault};
use crate::held_files::HeldFiles;
use crate::report::Chain;

/// A state directory with an identity, in which every file that a machine has is absent.
struct State(tempfile::TempDir);

impl State {
    fn new() -> Self {
        let state = Self(tempfile::tempdir().unwrap());
        state.load().unwrap();
        state
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    fn load(&self) -> Result<Identity, IdentityError> {
        Identity::load(self.dir(), &self.path("absent"))
    }

    fn reset(&self) -> Identity {
        Identity::reset(self.dir(), &self.path("absent")).unwrap()
    }

    fn key_text(&self) -> String {
        fs::read_to_string(self.path("key.json")).unwrap()
    }

    /// Why its key can't be used, which says what to do.
    #[track_caller]
    fn fault(&self) -> KeyFault {
        let error = self.load().unwrap_err();
        let text = Chain(&error).to_string();
        for word in ["key.json", "thrum restore FILE", "reset-identity"] {
            assert!(text.contains(word), "no {word}: {text}");
        }
        match error {
            IdentityError::Key { fault, .. } => fault,
            error => panic!("{error:?}"),
        }
    }
}

fn seed(identity: &Identity) -> String {
    BASE64URL_NOPAD.encode(&*identity.key().seed())
}

#[test]
fn the_id_is_the_public_key_and_the_seed_is_in_a_private_file_alone() {
    let state = State::new();
    let identity = state.load().unwrap();
    assert_eq!(identity.daemon_id.to_bytes(), identity.key().public());
    let mode = fs::metadata(state.path("key.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = state.key_text();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let seed = seed(&identity);
    assert_eq!(file["daemon_id"], identity.daemon_id.to_string());
    assert_eq!(file["seed"], seed);
    let shown =
        format!("{identity:?} {}", fs::read_to_string(state.path("identity.json")).unwrap());
    assert!(!shown.contains(&seed) && !shown.contains(&seed[..8]), "{shown}");
    assert!(shown.contains("SecretKey(hidden)"), "{shown}");
}

#[test]
fn a_key_without_an_identity_is_that_of_the_identity_that_is_made() {
    let state = State::new();
    let first = state.load().unwrap();
    fs::remove_file(state.path("identity.json")).unwrap();
    assert_eq!(state.load().unwrap().daemon_id, first.daemon_id);
    // But for a reset it is the former one.
    fs::remove_file(state.path("identity.json")).unwrap();
    let new = state.reset();
    assert_ne!(new.daemon_id, first.daemon_id);
    assert_eq!((new.former.as_slice(), new.had_database), ([first.daemon_id].as_slice(), true));
}

#[test]
fn an_identity_without_its_key_is_refused_and_a_reset_makes_both() {
    let state = State::new();
    let old = state.load().unwrap();
    fs::remove_file(state.path("key.json")).unwrap();
    assert_eq!(state.fault(), KeyFault::Missing);
    assert!(!state.path("key.json").exists(), "a new key came silently");
    let new = state.reset();
    assert_ne!(new.daemon_id, old.daemon_id);
    assert_eq!(new.former, [old.daemon_id]);
    assert_eq!(state.load().unwrap().key().seed(), new.key().seed());
}

#[test]
fn a_damaged_key_is_refused_without_its_text_and_moved_aside_by_a_reset() {
    let state = State::new();
    let (identity, whole) = (state.load().unwrap(), state.key_text());
    let seed = seed(&identity);
    let id = identity.daemon_id.to_string();
    let with_seed = |seed: &str| format!(r#"{{"daemon_id":"{id}","seed":{seed}}}"#);
    let another_bit = if seed.starts_with('A') { 'B' } else { 'A' };
    let damages = [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        format!(r#"{{"daemon_id":"{id}"}}"#),
        with_seed(&format!("\"{another_bit}{}\"", &seed[1..])),
        with_seed(&format!("\"{seed}=\"")),
        with_seed(&format!("\"{}\"", &seed[1..])),
        with_seed("12345678901234"),
        // Serde quotes what is at a wrong place.
        format!(r#"{{"daemon_id":"{seed}","seed":"{id}"}}"#),
    ];
    for damage in damages {
        fs::write(state.path("key.json"), &damage).unwrap();
        assert_eq!(state.fault(), KeyFault::Damaged, "{damage}");
        let error = state.load().unwrap_err();
        let told = format!("{error:?} {}", Chain(&error));
        assert!(!told.contains(&seed[1..]) && !told.contains("12345678"), "{told}");
        assert_eq!(state.key_text(), damage);
    }
    let new = state.reset();
    assert_ne!(new.daemon_id, identity.daemon_id);
    assert_eq!(state.load().unwrap().daemon_id, new.daemon_id);
    let names = fs::read_dir(state.dir()).unwrap().map(|it| it.unwrap().file_name());
    let aside = names.filter(|name| name.to_string_lossy().starts_with("key.json.damaged-"));
    assert_eq!(aside.count(), 1);
}

#[test]
fn the_key_of_another_daemon_is_refused_with_both_ids() {
    let (state, other) = (State::new(), State::new());
    fs::copy(other.path("key.json"), state.path("key.json")).unwrap();
    let fault = state.fault();
    let ids = [other.load().unwrap().daemon_id, Identity::id_in(state.dir()).unwrap().unwrap()];
    assert_eq!(fault, KeyFault::OtherDaemon { key: ids[0], identity: ids[1] });
    let text = fault.to_string();
    assert!(ids.iter().all(|id| text.contains(&short_id(*id))), "{text}");
}

/// A write of this file fails until the answer is removed.
fn blocked(state: &State, name: &str) -> PathBuf {
    let path = state.path(&format!("{name}.new"));
    fs::create_dir(&path).unwrap();
    path
}

#[test]
fn a_first_start_that_was_cut_off_leaves_the_key_for_the_next_one() {
    let state = State(tempfile::tempdir().unwrap());
    let blocked = blocked(&state, "identity.json");
    assert!(matches!(state.load(), Err(IdentityError::File(_))));
    let text = state.key_text();
    fs::remove_dir(blocked).unwrap();
    let identity = state.load().unwrap();
    assert_eq!(state.key_text(), text);
    assert!(text.contains(&identity.daemon_id.to_string()), "another key was made");
}

#[test]
fn a_reset_that_was_cut_off_is_refused_and_can_be_repeated() {
    for is_damaged in [false, true] {
        let state = State::new();
        let old = state.load().unwrap();
        if is_damaged {
            fs::write(state.path("identity.json"), "{").unwrap();
        }
        let blocked = blocked(&state, "key.json");
        Identity::reset(state.dir(), &state.path("absent")).unwrap_err();
        match state.load() {
            Ok(still) => assert!(!is_damaged && still.daemon_id == old.daemon_id),
            Err(error) => assert!(matches!(error, IdentityError::Damaged { .. }), "{error:?}"),
        }
        fs::remove_dir(blocked).unwrap();
        let new = state.reset();
        assert_eq!(state.load().unwrap().daemon_id, new.daemon_id);
        assert_eq!(
            (new.former.as_slice(), new.had_database),
            ([old.daemon_id].as_slice(), is_damaged)
        );
    }
    let state = State::new();
    let (old, blocked) = (state.load().unwrap(), blocked(&state, "identity.json"));
    Identity::reset(state.dir(), &state.path("absent")).unwrap_err();
    assert!(matches!(state.fault(), KeyFault::OtherDaemon { .. }));
    fs::remove_dir(blocked).unwrap();
    assert_eq!(state.reset().former, [old.daemon_id]);
    state.load().unwrap();
}

#[test]
fn an_identity_from_before_daemons_had_keys_is_refused_and_not_reset() {
    let state = State::new();
    let text =
        r#"{"daemon_id":"d_01JABCDEFGHJKMNPQRSTVWXYZ0","machine_id":"m1","had_database":true}"#;
    for with_key in [true, false] {
        fs::write(state.path("identity.json"), text).unwrap();
        let reset = Identity::reset(state.dir(), &state.path("absent")).unwrap_err();
        for error in [state.load().unwrap_err(), reset] {
            let text = Chain(&error).to_string();
            assert!(matches!(error, IdentityError::BeforeKeys { .. }), "{with_key}: {error:?}");
            assert!(text.contains("before daemons had keys"), "{text}");
            assert!(text.contains(&state.dir().display().to_string()), "{text}");
        }
        assert_eq!(fs::read_to_string(state.path("identity.json")).unwrap(), text);
        let _gone = fs::remove_file(state.path("key.json"));
    }
}

#[test]
fn a_key_that_others_may_read_is_closed_to_them() {
    let state = State::new();
    let path = state.path("key.json");
    for mode in [0o644, 0o620, 0o604] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        state.load().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{mode:o}");
    }
}

#[test]
fn a_key_that_was_exchanged_since_it_was_loaded_is_not_held() {
    let (state, other) = (State::new(), State::new());
    let (identity, files) = (state.load().unwrap(), HeldFiles::new(state.dir()));
    identity.hold(state.dir(), &files).unwrap();
    assert_eq!(files.check(), Ok(()));
    fs::copy(other.path("key.json"), state.path("key.json")).unwrap();
    assert!(files.check().unwrap_err().to_string().contains("key.json was replaced"));
    let refused = identity.hold(state.dir(), &HeldFiles::new(state.dir())).unwrap_err();
    assert!(Chain(&refused).to_string().contains("key.json was replaced"), "{refused:?}");
}

#[test]
fn the_contents_for_a_backup_make_the_same_identity() {
    let (state, other) = (State::new(), State::new());
    let (ours, theirs) = (state.load().unwrap(), other.load().unwrap());
    let parse = |key: &[u8]| {
        Identity::parse(&ours.contents().unwrap(), key, &state.path("absent")).map_err(|error| {
            let IdentityError::Key { fault, .. } = error else { panic!("{error:?}") };
            fault
        })
    };
    let again = parse(&ours.key_contents().unwrap()).unwrap();
    assert_eq!(again.key().seed(), ours.key().seed());
    assert_eq!(parse(b"{}").unwrap_err(), KeyFault::Damaged);
    let (key, identity) = (theirs.daemon_id, ours.daemon_id);
    let wrong = parse(&theirs.key_contents().unwrap()).unwrap_err();
    assert_eq!(wrong, KeyFault::OtherDaemon { key, identity });
}
