//! The files of the page. They are in the program: the page needs no other host, and no file can be put in their place.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::refusal::Refusal;

/// The shell of the page. Whoever can connect to this machine can get it, so there is nothing in it.
const INDEX: &str = include_str!("page/index.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal: $kind:expr,)*) => {
        &[$(($name, $kind, include_str!(concat!("page/", $name)))),*]
    };
}

/// Each file below `/assets/`: name, type, content.
const ASSETS: &[(&str, &str, &str)] = assets! {
    "api.js": SCRIPT,
    "app.js": SCRIPT,
    "composer.js": SCRIPT,
    "conversation.js": SCRIPT,
    "conversations.js": SCRIPT,
    "details.js": SCRIPT,
    "dom.js": SCRIPT,
    "favicon-badge.svg": PICTURE,
    "favicon.svg": PICTURE,
    "feed.js": SCRIPT,
    "format.js": SCRIPT,
    "keys.js": SCRIPT,
    "live.js": SCRIPT,
    "message.js": SCRIPT,
    "model.js": SCRIPT,
    "panels.js": SCRIPT,
    "rows.js": SCRIPT,
    "sidebar.js": SCRIPT,
    "source.js": SCRIPT,
    "style.css": STYLE,
    "visible.js": SCRIPT,
};

/// The shell.
pub fn index() -> Response {
    content("text/html; charset=utf-8", INDEX)
}

/// The file with this name.
pub fn named(name: &str) -> Response {
    match ASSETS.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, text)) => content(kind, text),
        None => {
            let message = "there is no such file";
            Refusal::new(StatusCode::NOT_FOUND, "not_found", message).into_response()
        }
    }
}

fn content(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ui/page");
        let files = std::fs::read_dir(folder).unwrap();
        let mut files: BTreeSet<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert!(files.remove("index.html"));
        let served = ASSETS.iter().map(|(name, _, _)| (*name).to_owned()).collect();
        assert_eq!(files, served);
    }
}
