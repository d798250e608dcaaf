use jsonc_parser::json;
use thrum_api::local::HookPoint;

use super::{Known, Outcome, json as jsonc, toml};
use crate::setup::content::{Entry, Part, TomlTable};

fn entries() -> Vec<Entry> {
    let hook = json!({"hooks": [{"type": "command", "command": "thrum", "args": ["hook", "claude-code", "stop"], "timeout": 5}]});
    vec![
        Entry::server("mcpServers", json!({"command": "thrum", "args": ["mcp"]})),
        Entry::hook(HookPoint::Stop, "Stop", hook),
        Entry::word(["permissions", "allow"], "mcp__thrum", Part::Permission),
    ]
}

/// Files as people have them.
const AWKWARD: [&str; 17] = [
    "",
    "\n",
    "{}",
    "{}\n",
    "{\n}\n",
    "\u{feff}{\r\n\t\"a\": 1\r\n}\r\n",
    "{\r\n    \"a\": [1, 2]\r\n}",
    "// settings\n{\n  // of a\n  \"a\": 1, // first\n  /* b */ \"b\": [\n    1,\n  ],\n}\n",
    "{\n\t\"hooks\": {\n\t\t\"Stop\": [\n\t\t\t{\"hooks\": [{\"command\": \"make check\"}]},\n\t\t],\n\t},\n}\n",
    "{ \"hooks\": {\"Stop\": [{\"hooks\": [{\"command\": \"x\"}]}]} }\n",
    "{\"permissions\":{\"allow\":[\"Bash(ls)\"],\"deny\":[]}}",
    "{\n  \"permissions\": {\n    \"allow\": [] // none yet\n  }\n}\n",
    "{\n  \"mcpServers\": {\n    \"other\": { \"command\": \"x\" }\n  }\n}\n",
    "{\n  \"hooks\": {\n    // nothing here\n  }\n}\n",
    "{\n  \"z\": 1e400,\n  \"big\": 123456789012345678901234567890\n}\n",
    "{\n\n\n  \"a\":    1\n\n\n}\n\n\n",
    "{\n  \"é\\u00e9\": \"\\ud83d\\ude00 日本\"\n}\n",
];

/// A text without what no reader of JSON sees: blanks, and commas at the ends.
fn bare(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    text.replace(",]", "]").replace(",}", "}")
}

#[test]
fn what_was_there_stays_as_it_was_written() {
    for text in AWKWARD {
        let added = jsonc::add(text, &entries()).unwrap();
        assert_eq!(added.outcomes, [const { Outcome::New }; 3], "{text:?}");
        let mut rest = added.text.as_str();
        // What was there is there still, in its order; only brackets and commas may have moved.
        for piece in text.split(['\n', '{', '}', '[', ']', ',']).map(str::trim) {
            let at =
                rest.find(piece).unwrap_or_else(|| panic!("{piece:?} is lost: {}", added.text));
            rest = &rest[at + piece.len()..];
        }
        assert_eq!(added.text.starts_with('\u{feff}'), text.starts_with('\u{feff}'));
        if text.contains('\r') {
            assert_eq!(added.text.matches('\n').count(), added.text.matches("\r\n").count());
        }
        assert!(text.is_empty() || text.ends_with('\n') == added.text.ends_with('\n'), "{text:?}");

        let again = jsonc::add(&added.text, &entries()).unwrap();
        assert_eq!(again.outcomes, [const { Outcome::Present }; 3], "{text:?}");
        assert_eq!(again.text, added.text);

        let known = Known { made: added.made, ..Known::default() };
        let removed = jsonc::remove(&added.text, &entries(), Some(&known)).unwrap();
        assert_eq!(removed.count, 3, "{text:?}");
        let expected = if bare(text).is_empty() { "{}".to_owned() } else { bare(text) };
        assert_eq!(bare(&removed.text), expected, "{text:?}");
        assert_eq!(
            removed.is_empty,
            ["", "\n", "{}", "{}\n", "{\n}\n"].contains(&text),
            "{text:?}"
        );
    }
}

#[test]
fn our_entries_look_as_if_written_by_hand() {
    let text = "{\n    // mine\n    \"hooks\": {\n        \"Stop\": [{ \"hooks\": [{ \"command\": \"make\" }] }]\n    }\n}\n";
    insta::assert_snapshot!("json", jsonc::add(text, &entries()).unwrap().text);
    let text = "model = \"o\" # mine\n\n[mcp_servers.other]\ncommand = \"x\"\n# the end\n";
    insta::assert_snapshot!("toml", toml::add(text, &table()).unwrap().text);
}

#[test]
fn a_file_that_two_readers_would_read_differently_is_refused() {
    for (text, why) in [
        ("{", "not JSON"),
        ("[]", "no JSON object"),
        ("\"x\"", "no JSON object"),
        ("{'a': 1}", "not JSON"),
        ("{a: 1}", "not JSON"),
        ("{\"a\": 1 \"b\": 2}", "not JSON"),
        ("{\"a\": 1, \"b\": {\"c\": 1, \"\\u0063\": 2}}", "\"c\" twice"),
        ("{\"hooks\": []}", "\"hooks\" in it is no object"),
        ("{\"hooks\": {\"Stop\": {}}}", "\"Stop\" in it is no array"),
        ("{\"permissions\": {\"allow\": \"all\"}}", "\"allow\" in it is no array"),
        (&"[".repeat(100_000), "not JSON"),
    ] {
        let error = jsonc::add(text, &entries()).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn entries_of_ours_with_other_values_are_replaced_and_put_back() {
    let text = r#"{
  "mcpServers": { "thrum": { "command": "/old/thrum", "args": ["mcp"], "env": { "THRUM_AGENT": "x" } } },
  "hooks": { "Stop": [
    { "hooks": [{ "command": "make" }, { "command": "thrum hook claude-code stop" }] },
    { "hooks": [{ "command": "thrum hook claude-code stop", "timeout": 99 }] }
  ] },
  "permissions": { "allow": ["mcp__thrum"] }
}
"#;
    let added = jsonc::add(text, &entries()).unwrap();
    assert!(matches!(
        &added.outcomes[..],
        [Outcome::Replaced(_), Outcome::Replaced(_), Outcome::Present]
    ));
    // What a person added to ours, and a hook that stood with ours, stay.
    assert!(
        added.text.contains(r#""env": { "THRUM_AGENT": "x" }"#) && added.text.contains("\"make\"")
    );
    assert_eq!(added.text.matches("claude-code").count(), 1, "{}", added.text);

    let mut known = Known { kept: vec![entries()[2].id()], ..Known::default() };
    for (entry, outcome) in entries().iter().zip(&added.outcomes) {
        if let Outcome::Replaced(before) = outcome {
            known.replaced.push((entry.id(), before.clone()));
        }
    }
    let removed = jsonc::remove(&added.text, &entries(), Some(&known)).unwrap();
    assert!(
        removed.text.contains("/old/thrum") && removed.text.contains("mcp__thrum"),
        "{}",
        removed.text
    );
    assert!(!removed.text.contains("\"timeout\": 5"), "{}", removed.text);
}

#[test]
fn another_server_of_our_name_is_replaced_and_never_taken_for_ours() {
    let text = r#"{"mcpServers": {"thrum": {"command": "thrum", "args": ["mcp", "serve"]}}}"#;
    let added = jsonc::add(text, &entries()[..1]).unwrap();
    let Outcome::Replaced(before) = &added.outcomes[0] else { panic!("{added:?}") };
    assert!(before.contains("serve") && !added.text.contains("serve"));
    assert_eq!(jsonc::remove(text, &entries()[..1], None).unwrap().count, 0);
}

fn table() -> TomlTable {
    TomlTable {
        path: ["mcp_servers", "thrum"],
        values: vec![
            ("command", "\"thrum\"".to_owned()),
            ("args", "[\"mcp\", \"--tool\", \"codex\"]".to_owned()),
            ("tool_timeout_sec", "1800".to_owned()),
        ],
        part: Part::Server,
    }
}

#[test]
fn a_toml_file_keeps_every_byte_that_is_not_ours() {
    for text in [
        "",
        "a = 1",
        "# c\r\n[b]\r\nc = '''x\r\ny'''\r\n",
        "mixed = 1\r\nends = 2\n",
        "\u{feff}a = 1\n",
        "[mcp_servers]\n",
        "[mcp_servers.other]\ncommand = \"x\"\n# the end\n",
        "mcp_servers.other.command = \"x\"\n",
    ] {
        let added = toml::add(text, &table()).unwrap();
        assert!(added.text.starts_with(text), "{text:?}");
        assert_eq!(added.outcomes, [Outcome::New]);
        let again = toml::add(&added.text, &table()).unwrap();
        assert_eq!((again.text, &again.outcomes[0]), (added.text.clone(), &Outcome::Present));
        // Somebody writes below it.
        let below = format!("{}\n[after]\nd = 1\n", added.text);
        let removed = toml::remove(&below, &table(), None).unwrap();
        assert_eq!((removed.count, removed.is_empty), (1, false));
        let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        assert_eq!(removed.text, format!("{text}{end}\n[after]\nd = 1\n"));
        let removed = toml::remove(&added.text, &table(), None).unwrap();
        assert_eq!((removed.text.trim_end(), removed.is_empty), (text.trim_end(), text.is_empty()));
    }
}

#[test]
fn a_table_with_other_values_gets_ours_and_keeps_the_rest() {
    let text = "[mcp_servers.thrum] # mine\ncommand = \"/x/thrum\" # old\nargs = [\n  'mcp', '--tool', 'codex', # as is\n]\nenabled = true\n\n[mcp_servers.thrum.env]\nA = \"1\"\n\n[z]\n";
    let added = toml::add(text, &table()).unwrap();
    let expected = text
        .replace("\"/x/thrum\"", "\"thrum\"")
        .replace("enabled = true\n", "enabled = true\ntool_timeout_sec = 1800\n");
    assert_eq!(added.text, expected);
    let [Outcome::Replaced(before)] = &added.outcomes[..] else { panic!("{added:?}") };
    let known = Known {
        replaced: vec![("mcp_servers.thrum".to_owned(), before.clone())],
        ..Known::default()
    };
    assert_eq!(toml::remove(&added.text, &table(), Some(&known)).unwrap().text, text);
    assert_eq!(toml::remove(&added.text, &table(), None).unwrap().text, "\n[z]\n");
}

#[test]
fn what_toml_can_say_in_another_way_is_left_to_the_person() {
    for (text, why) in [
        ("a = \n", "not TOML"),
        ("a = 1\na = 2\n", "not TOML"),
        ("mcp_servers = {}\n", "can't"),
        ("mcp_servers.thrum.command = \"x\"\n", "[mcp_servers.thrum]"),
        ("[mcp_servers]\nthrum = { command = \"x\" }\n", "[mcp_servers.thrum]"),
    ] {
        let error = toml::add(text, &table()).unwrap_err();
        assert!(error.contains(why), "{text:?}: {error}");
    }
    let other = "[mcp_servers.thrum]\ncommand = \"thrum\"\nargs = [\"mcp\", \"serve\"]\n";
    assert_eq!(toml::remove(other, &table(), None).unwrap().count, 0);
}
