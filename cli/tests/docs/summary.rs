//! The summary, of which `docs/build.sh` makes a book.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::links::joined;
use crate::page::{Page, pages};

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
