//! The book that `docs/build.sh` makes of the pages: every link in it leads somewhere. mdbook warns of nothing that is missing.
//!
//!     bash docs/build.sh && cargo test --workspace --locked --test book

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that meets the unexpected must stop; clippy exempts test functions, not their helpers"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where `docs/build.sh` puts it.
fn book() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let book = root.join(target).join("book");
    book.canonicalize().unwrap_or_else(|error| {
        panic!("{}: {error}; make the book first: bash docs/build.sh", book.display())
    })
}

#[test]
fn links_of_the_built_book_lead_somewhere() {
    let book = book();
    let mut wrong = BTreeSet::new();
    let mut links = 0;
    let mut waiting = vec![book.clone()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                let text = fs::read_to_string(&path).expect("a page");
                let name = path.strip_prefix(&book).expect("below the book");
                for to in attributes(&text, "href=\"").chain(attributes(&text, "src=\"")) {
                    links += 1;
                    if let Some(fault) = fault(&book, name, &text, to) {
                        wrong.insert(format!("{}: {to}: {fault}", name.display()));
                    }
                }
            }
        }
    }
    assert!(links > 1000, "only {links} links were found");
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{} links of the book are broken:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong with a link of the page `name`, which says `text`.
fn fault(book: &Path, name: &Path, text: &str, to: &str) -> Option<String> {
    if to.contains(':') || to.is_empty() {
        return None;
    }
    let (file, anchor) = to.split_once('#').map_or((to, None), |(file, anchor)| (file, Some(anchor)));
    let other;
    let mut shown = text;
    if !file.is_empty() {
        // The page for addresses that nobody knows is served at any depth, so its links begin at the top.
        let folder = if name == Path::new("404.html") { Path::new("") } else { name.parent()? };
        let Ok(mut there) = book.join(folder).join(file.trim_start_matches('/')).canonicalize() else {
            return Some("is not in the book".to_owned());
        };
        if !there.starts_with(book) {
            return Some("leads out of the book".to_owned());
        }
        if there.is_dir() {
            there.push("index.html");
        }
        if there.extension().is_none_or(|extension| extension != "html") {
            return None;
        }
        other = fs::read_to_string(&there).unwrap_or_default();
        if other.is_empty() {
            return Some("is not in the book".to_owned());
        }
        shown = &other;
    }
    let anchor = anchor.filter(|anchor| !anchor.is_empty())?;
    (!attributes(shown, "id=\"").any(|id| id == anchor)).then(|| "no such heading there".to_owned())
}

/// The values of an attribute, `name` with its `="`.
fn attributes<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(name).skip(1).filter_map(|rest| rest.split('"').next())
}
