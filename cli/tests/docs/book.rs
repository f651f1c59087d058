//! The book that `docs/build.sh` makes of the pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::links::joined;
use crate::page::{Page, pages, root};

/// A page that the summary does not list is not in the book, and links to it lead nowhere there.
#[test]
fn the_summary_lists_every_page_once() {
    let summary = Path::new("docs/SUMMARY.md");
    let links = Page::read(summary).links;
    let listed: Vec<PathBuf> =
        links.iter().map(|link| joined(Path::new("docs"), link.to.as_deref().unwrap()).unwrap()).collect();
    let once: BTreeSet<&PathBuf> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "a page is listed twice");
    let missing: Vec<String> = pages()
        .into_iter()
        .filter(|page| page != summary && !once.contains(page))
        .map(|page| page.display().to_string())
        .collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md does not list:\n{}", missing.join("\n"));
}

/// `.ci/run` does this when it has built the book. mdbook warns of nothing that is missing.
#[test]
#[ignore = "needs the book: bash docs/build.sh"]
fn links_of_the_built_book_lead_somewhere() {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let book = root().join(target).join("book");
    let mut wrong = BTreeSet::new();
    let mut links = 0;
    let mut waiting = vec![book.clone()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).expect("the book is built") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                let text = fs::read_to_string(&path).expect("a page");
                let name = path.strip_prefix(&book).expect("below the book").to_owned();
                for to in attributes(&text, "href=\"").chain(attributes(&text, "src=\"")) {
                    links += 1;
                    if let Some(fault) = fault(&book, &name, &text, to) {
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
        let Some(target) = joined(folder, file.trim_start_matches('/')) else {
            return Some("leads out of the book".to_owned());
        };
        let mut there = book.join(target);
        if there.is_dir() {
            there.push("index.html");
        }
        if !there.exists() {
            return Some("is not in the book".to_owned());
        }
        if there.extension().is_none_or(|extension| extension != "html") {
            return None;
        }
        other = fs::read_to_string(there).expect("a page");
        shown = &other;
    }
    let anchor = anchor.filter(|anchor| !anchor.is_empty())?;
    (!attributes(shown, "id=\"").any(|id| id == anchor)).then(|| "no such heading there".to_owned())
}

/// The values of an attribute, `name` with its `="`.
fn attributes<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(name).skip(1).filter_map(|rest| rest.split('"').next())
}
