//! The file of the index, without a follower.

use tempfile::TempDir;
use thrum_api::{Epoch, LogPosition, Sequence};
use ulid::Ulid;

use super::error::SearchError;
use super::index::{Index, Indexed};
use crate::agents::store::Cursor;
use crate::log::{LogHead, LogReader};

#[test]
fn a_file_that_was_made_anew_takes_no_page_that_follows_the_old_one() {
    let directory = TempDir::new().unwrap();
    let (log, _rows) = LogReader::of_new_log(directory.path());
    let mut index = Index::new(directory.path().join("search.db"));
    let epoch = Epoch::from_ulid(Ulid::from(9_u128));
    let at = |sequence| LogPosition { sequence: Sequence(sequence), ..LogPosition::START };
    let old = Cursor { epoch, position: at(5) };
    let head = LogHead { epoch, position: at(9) };
    index.continue_at(old).unwrap();
    assert_eq!(index.page(&log, old, head).unwrap().cursor.position, at(9));
    // Another caller has found damage.
    index.discard().unwrap();
    let page = index.page(&log, old, head);
    assert!(matches!(page, Err(SearchError::MadeAnew)));
    assert!(matches!(index.indexed().unwrap(), Indexed::Unchecked(None)), "it begins at the start");
}
