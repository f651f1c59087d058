//! Every file and folder of the repository that a page names, `like/this`, is there.

use std::path::{Path, PathBuf};

use crate::page::{Page, pages, root};

/// Folders at the top whose content pages speak of.
const FOLDERS: [&str; 9] =
    [".ci", "benches", "cli", "docs", "gateway-under-test", "harness", "protocol", "results", "scenarios"];

/// The path in the repository that a span of code names; `None`: it names something else, or stands for many (`NAME`, `*`, `…`).
fn named(span: &str) -> Option<PathBuf> {
    let (top, rest) = span.split_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_path = FOLDERS.contains(&top) && rest.chars().all(plain);
    // Runs are what git ignores.
    (is_path && !rest.contains("NAME") && !span.starts_with("results/runs")).then(|| PathBuf::from(span))
}

#[test]
fn what_pages_name_is_there() {
    let mut missing = Vec::new();
    let mut count = 0;
    for path in pages() {
        for (line, span) in Page::read(&path).spans {
            let Some(named) = named(&span) else { continue };
            count += 1;
            if !root().join(&named).exists() {
                missing.push(format!("{}:{line}: `{span}`", path.display()));
            }
        }
    }
    assert!(count > 80, "only {count} paths were found");
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
}

#[test]
fn a_path_is_told_from_other_code() {
    for (span, path) in [
        ("harness/src/lib.rs", Some("harness/src/lib.rs")),
        ("scenarios/loops", Some("scenarios/loops")),
        ("scenarios/defects/NAME.toml", None),
        ("scenarios/*/x.toml", None),
        ("results/runs/1", None),
        ("devices/paired.json", None),
        ("benches", None),
        ("docs/build.sh --help", None),
    ] {
        assert_eq!(named(span), path.map(PathBuf::from), "{span}");
    }
    assert_eq!(
        Page::of("# `a/b`\n\nSee `docs/x.md`.\n").spans,
        [(1, "a/b".to_owned()), (3, "docs/x.md".to_owned())]
    );
    assert!(!root().join(Path::new("docs/x.md")).exists());
}
