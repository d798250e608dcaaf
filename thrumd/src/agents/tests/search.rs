//! Search in messages, over a log.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use arbtest::arbitrary::{Result as Arbitrary, Unstructured};
use serde_json::json;
use thrum_api::local::MessageSearchResult;
use thrum_api::{Draft, Timestamp};

use super::super::{Search, SearchError, SearchQuery, Sender};
use super::home::{Home, within};
use super::*;

const OTHER: &str = "other";
/// Pieces of texts, with the words in them.
const PIECES: &[(&str, &[&str])] = &[
    ("lock", &["lock"]),
    ("Lock-Order", &["lock", "order"]),
    ("caf\u{e9}", &["cafe"]),
    ("CAFE\u{301}!", &["cafe"]),
    ("lockdown", &["lockdown"]),
    ("\u{2}order\0\u{3}", &["order"]),
    ("日本", &["日本"]),
    ("--", &[]),
];

struct Searched {
    home: Home,
    search: Search,
    directory: TempDir,
}

impl Searched {
    fn new() -> Self {
        let (directory, home) = Home::new();
        let search = Search::start(directory.path().to_owned(), home.log.clone()).unwrap();
        Self { home, search, directory }
    }

    async fn close(self) -> TempDir {
        self.search.close().await;
        self.home.close().await;
        self.directory
    }

    async fn append(&self, project: &str, event_type: &str, body: serde_json::Value) -> EventId {
        self.home.log.append(vec![draft(project, event_type, &body)]).await.unwrap()[0].event_id
    }

    async fn say(&self, project: &str, from: &str, text: &str) -> EventId {
        let body = json!({ "from": from, "to": ["coder"], "text": text });
        self.append(project, "message.sent", body).await
    }

    async fn delete(&self, project: &str, from: &str, id: EventId) {
        self.append(project, "message.deleted", json!({ "from": from, "event_id": id })).await;
    }

    async fn ask(&self, query: SearchQuery) -> MessageSearchResult {
        within(self.search.search(query)).await.unwrap()
    }

    /// The texts that are found, the newest first.
    async fn found(&self, words: &str) -> Vec<String> {
        texts(&self.ask(query_of(words)).await)
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("search.db")
    }
}

fn draft(project: &str, event_type: &str, body: &serde_json::Value) -> Draft {
    Draft {
        event_id: None,
        event_type: event_type.to_owned(),
        project: Some(project.to_owned()),
        body: serde_json::value::to_raw_value(body).unwrap(),
    }
}

fn query_of(words: &str) -> SearchQuery {
    SearchQuery { words: words.to_owned(), ..SearchQuery::default() }
}

fn texts(result: &MessageSearchResult) -> Vec<String> {
    result.hits.iter().map(|hit| hit.message.text.clone()).collect()
}

fn remove(file: &Path) {
    for file in crate::database_files::all(file) {
        std::fs::remove_file(file).unwrap();
    }
}

#[tokio::test]
async fn words_phrases_and_prefixes_are_found_the_newest_first() {
    let views = Searched::new();
    for text in ["fix the lock order", "order of the lock", "Lock\norder, again", "unlock"] {
        views.say(PROJECT, "planner", text).await;
    }
    assert!(!views.file().exists(), "a few messages wait for somebody who searches");
    assert_eq!(
        views.found("lock order").await,
        ["Lock\norder, again", "order of the lock", "fix the lock order"]
    );
    assert_eq!(views.found("\"lock order\"").await, ["Lock\norder, again", "fix the lock order"]);
    assert_eq!(views.found("unl* ").await, ["unlock"]);
    // The index has words for projects and senders, too.
    assert_eq!(views.found("f1").await, Vec::<String>::new());
    let hit = views.ask(query_of("order again")).await.hits.remove(0);
    assert_eq!(hit.snippet, "Lock \u{2}order\u{3}, \u{2}again\u{3}");
    assert_eq!((hit.message.from.as_str(), hit.message.sequence), ("planner", Sequence(3)));
    let mode = std::fs::metadata(views.file()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    views.close().await;
}

#[tokio::test]
async fn project_sender_machine_time_and_page_narrow_a_search() {
    let views = Searched::new();
    views.say(PROJECT, "planner", "word 1").await;
    views.say(OTHER, "planner", "word 2").await;
    views.say(PROJECT, "coder", "word 3").await;
    views.home.apply(vec![message_to(1, there(), "planner", &["coder"])]).await;
    let narrowed = |project: Option<&str>, from: Option<(&str, Option<DaemonId>)>| SearchQuery {
        project: project.map(str::to_owned),
        from: from.map(|(name, daemon)| Sender { name: name.to_owned(), daemon }),
        ..query_of("word")
    };
    let in_project = views.ask(narrowed(Some(PROJECT), None)).await;
    assert_eq!(texts(&in_project), ["word 3", "word 1"]);
    let of_sender = views.ask(narrowed(None, Some(("planner", None)))).await;
    assert_eq!(texts(&of_sender), ["word 2", "word 1"]);
    let both = views.ask(narrowed(Some(OTHER), Some(("planner", Some(here()))))).await;
    assert_eq!(texts(&both), ["word 2"]);
    for (project, from) in [
        (Some("none"), None),
        (None, Some(("nobody", None))),
        (None, Some(("coder", Some(there())))),
        // Its words are others.
        (None, Some(("planner", Some(there())))),
    ] {
        assert_eq!(texts(&views.ask(narrowed(project, from)).await), Vec::<String>::new());
    }
    let number = SearchQuery {
        words: "number".to_owned(),
        ..narrowed(None, Some(("planner", Some(there()))))
    };
    assert_eq!(texts(&views.ask(number.clone()).await), ["number 1"]);
    // It was sent in 2020.
    let since = Some(Timestamp::from_millis(1_600_000_000_000));
    assert_eq!(views.ask(SearchQuery { since, ..number }).await.hits.len(), 0);
    assert_eq!(views.ask(SearchQuery { since, ..query_of("word") }).await.hits.len(), 3);
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let page = views.ask(SearchQuery { limit: Some(2), before, ..query_of("word") }).await;
        pages.push(texts(&page));
        before = page.next_before;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec!["word 3", "word 2"], vec!["word 1"]]);
    views.close().await;
}

#[tokio::test]
async fn a_deletion_counts_for_the_senders_own_message_alone_and_may_come_first() {
    let views = Searched::new();
    let id = views.say(PROJECT, "planner", "secret").await;
    assert_eq!(views.found("secret").await, ["secret"]);
    views.delete(PROJECT, "coder", id).await;
    views.delete(OTHER, "planner", id).await;
    let deletion = |sequence, from, of| {
        let body = json!({ "from": from, "event_id": of });
        event(sequence, there(), Some(PROJECT), "message.deleted", &body)
    };
    views.home.apply(vec![deletion(1, "planner", id)]).await;
    assert_eq!(views.found("secret").await, ["secret"], "not the sender's own deletion");
    views.delete(PROJECT, "planner", id).await;
    assert_eq!(views.found("secret").await, Vec::<String>::new());
    let later = super::id(7);
    views.home.apply(vec![deletion(2, "planner", later)]).await;
    assert_eq!(views.found("number").await, Vec::<String>::new());
    let again = [
        message_to(7, there(), "planner", &["coder"]),
        message_to(8, there(), "planner", &["coder"]),
    ];
    views.home.apply(again.to_vec()).await;
    assert_eq!(views.found("number").await, ["number 8"], "number 7 was deleted before it came");
    views.close().await;
}

#[tokio::test]
async fn the_index_goes_on_where_it_was_and_is_made_anew_when_it_is_gone_damaged_or_of_another_log()
{
    let views = Searched::new();
    views.say(PROJECT, "planner", "first").await;
    assert_eq!(views.found("first").await, ["first"]);
    remove(&views.file());
    views.say(PROJECT, "planner", "second first").await;
    assert_eq!(views.found("first").await, ["second first", "first"], "removed while it was open");
    assert!(views.file().exists());
    let directory = views.close().await;

    let reopened = |directory: TempDir| {
        let home = Home::open(directory.path());
        let search = Search::start(directory.path().to_owned(), home.log.clone()).unwrap();
        Searched { home, search, directory }
    };
    let of_file = |file: &Path, change: &str| {
        let connection = Connection::open(file).unwrap();
        connection.execute_batch(change).unwrap();
    };
    let file = directory.path().join("search.db");
    // It goes on: what was removed from it is not indexed again.
    of_file(&file, "DELETE FROM messages WHERE sequence = 1");
    let views = reopened(directory);
    assert_eq!(views.found("first").await, ["second first"]);
    let directory = views.close().await;
    for change in ["PRAGMA user_version = 99", "UPDATE cursor SET hash = hash + 1"] {
        of_file(&file, &format!("DELETE FROM messages; {change}"));
        let views = reopened(directory_again(&directory));
        assert_eq!(views.found("first").await, ["second first", "first"], "{change}");
        views.close().await;
    }
    // Damage that is found when the file is opened, and when it is read.
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged.get_mut(4096..).unwrap().fill(0x5a);
    for bytes in [b"no database at all, but some other file".to_vec(), damaged] {
        std::fs::write(&file, bytes).unwrap();
        let views = reopened(directory_again(&directory));
        assert_eq!(views.found("first").await, ["second first", "first"]);
        views.close().await;
    }
}

/// The same folder for a next daemon; the first value removes it.
fn directory_again(directory: &TempDir) -> TempDir {
    let mut again = tempfile::TempDir::new().unwrap();
    std::fs::remove_dir(again.path()).unwrap();
    std::os::unix::fs::symlink(directory.path(), again.path()).unwrap();
    again.disable_cleanup(true);
    again
}

#[tokio::test]
async fn a_message_that_the_log_lost_is_left_out() {
    let views = Searched::new();
    views.say(PROJECT, "planner", "kept word").await;
    views.say(PROJECT, "planner", "lost word").await;
    assert_eq!(views.found("word").await.len(), 2);
    let rows = Connection::open(views.directory.path().join("log.db")).unwrap();
    rows.execute("UPDATE events SET body = x'00' WHERE sequence = 2", []).unwrap();
    assert_eq!(views.found("word").await, ["kept word"]);
    views.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_far_ahead_is_indexed_in_the_background() {
    let views = Searched::new();
    let body = json!({ "from": "planner", "to": ["coder"], "text": "word" });
    for _ in 0..3 {
        let page =
            std::iter::repeat_with(|| draft(PROJECT, "message.sent", &body)).take(1000).collect();
        views.home.log.append(page).await.unwrap();
    }
    let indexed = || {
        let file =
            Connection::open_with_flags(views.file(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
        let cursor = file.and_then(|file| {
            file.query_row("SELECT sequence FROM cursor", [], |row| row.get::<_, i64>(0))
        });
        cursor.is_ok_and(|sequence| sequence == 3000)
    };
    within(async {
        while !indexed() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    views.close().await;
}

#[test]
fn any_bytes_can_be_looked_for() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let views = runtime.block_on(async { Searched::new() });
    runtime.block_on(views.say(PROJECT, "planner", "lock order"));
    arbtest::arbtest(|u| {
        let mut words = u.arbitrary::<String>()?;
        for _ in 0..u.int_in_range(0..=8)? {
            words.push_str(u.choose(&[
                "\"", "*", "^", "(", ")", ":", "NEAR(", " AND ", " OR ", "{", "-", "+", "\0",
                "lock", "e\u{301}", "\u{e000}", "\u{24b6}",
            ])?);
        }
        let outcome = runtime.block_on(within(views.search.search(query_of(&words))));
        let is_good =
            matches!(outcome, Ok(_) | Err(SearchError::NoWords | SearchError::TooManyWords));
        assert!(is_good, "{words:?}: {outcome:?}");
        Ok(())
    })
    .budget_ms(2000);
    runtime.block_on(views.close());
}

/// A message of the model.
struct Said {
    id: EventId,
    project: &'static str,
    from: &'static str,
    text: String,
    words: Vec<&'static str>,
    deleted: bool,
}

#[test]
fn what_is_found_is_what_a_look_at_every_message_finds() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    arbtest::arbtest(|u| runtime.block_on(history(u))).budget_ms(4000);
}

async fn history(u: &mut Unstructured<'_>) -> Arbitrary<()> {
    let views = Searched::new();
    let mut said: Vec<Said> = Vec::new();
    for _ in 0..u.int_in_range(1..=12)? {
        let (project, from) = (*u.choose(&[PROJECT, OTHER])?, *u.choose(&["planner", "tester"])?);
        match u.int_in_range(0..=9)? {
            0 if views.file().exists() => remove(&views.file()),
            1 | 2 if !said.is_empty() => {
                let at = u.choose_index(said.len())?;
                let message = &mut said[at];
                views.delete(project, from, message.id).await;
                message.deleted |= (message.project, message.from) == (project, from);
            }
            3..=5 => compare(&views, &said, u).await?,
            _ => {
                let (mut text, mut words) = (String::from("t"), Vec::new());
                for _ in 0..u.int_in_range(0..=4)? {
                    let (piece, of_it) = u.choose(PIECES)?;
                    text.push_str(u.choose(&[" ", "\n", ", "])?);
                    text.push_str(piece);
                    words.extend_from_slice(of_it);
                }
                let id = views.say(project, from, &text).await;
                said.push(Said { id, project, from, text, words, deleted: false });
            }
        }
    }
    compare(&views, &said, u).await?;
    views.close().await;
    Ok(())
}

async fn compare(views: &Searched, said: &[Said], u: &mut Unstructured<'_>) -> Arbitrary<()> {
    let first = *u.choose(&["lock", "order", "caf\u{e9}", "lockdown", "日本"])?;
    let second = *u.choose(&["lock", "order", "cafe"])?;
    let kind = u.int_in_range(0..=3)?;
    let words = match kind {
        0 => first.to_owned(),
        1 => format!("{first} -- {second}"),
        2 => format!("\"{first} {second}\""),
        _ => format!("{}*", &first[..3]),
    };
    let (plain_first, prefix) = (first.replace('\u{e9}', "e"), &first[..3]);
    let project = u.choose(&[None, Some(PROJECT), Some(OTHER)])?.map(str::to_owned);
    let from = u.choose(&[None, Some("planner")])?.map(str::to_owned);
    let has = |message: &Said, word: &str| message.words.contains(&word);
    let matches = |message: &Said| match kind {
        0 => has(message, &plain_first),
        1 => has(message, &plain_first) && has(message, second),
        2 => message.words.windows(2).any(|pair| pair == [plain_first.as_str(), second]),
        _ => message.words.iter().any(|word| word.starts_with(prefix)),
    };
    let wanted: Vec<&str> = said
        .iter()
        .rev()
        .filter(|message| !message.deleted && matches(message))
        .filter(|message| project.as_deref().is_none_or(|project| project == message.project))
        .filter(|message| from.as_deref().is_none_or(|from| from == message.from))
        .map(|message| message.text.as_str())
        .collect();
    let from = from.map(|name| Sender { name, daemon: None });
    let query = SearchQuery { words, project, from, ..SearchQuery::default() };
    let found = views.ask(query.clone()).await;
    assert_eq!(texts(&found), wanted, "{query:?}");
    for hit in &found.hits {
        let marks: BTreeSet<char> =
            hit.snippet.chars().filter(|c| "\u{2}\u{3}".contains(*c)).collect();
        assert_eq!(marks.len(), 2, "{:?}", hit.snippet);
    }
    Ok(())
}
