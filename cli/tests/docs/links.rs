//! Every relative link of every page leads to a file or folder of the repository, and to a heading that is there.
//!
//! Links to other places are not followed: a test needs no network.

use std::path::{Component, Path, PathBuf};

use crate::page::{Page, pages, root};

/// What is wrong with the links of a page that stands at `path`, a line each.
fn faults(path: &Path, page: &Page) -> Vec<String> {
    let mut faults = Vec::new();
    for link in &page.links {
        if let Some(fault) = fault(path, page, link.to.as_deref()) {
            faults.push(format!("{}:{}: {}: {fault}", path.display(), link.line, link.text));
        }
    }
    faults
}

/// What is wrong with one link.
fn fault(path: &Path, page: &Page, to: Option<&str>) -> Option<String> {
    let Some(to) = to else { return Some("the page has no such reference".to_owned()) };
    if ["http://", "https://", "mailto:"].iter().any(|scheme| to.starts_with(scheme)) {
        return None;
    }
    let (file, anchor) = to.split_once('#').map_or((to, None), |(file, anchor)| (file, Some(anchor)));
    if file.is_empty() {
        return missing_anchor(page, anchor);
    }
    let Some(target) = joined(path.parent().unwrap_or_else(|| Path::new("")), file) else {
        return Some("leads out of the repository".to_owned());
    };
    let there = root().join(&target);
    if !there.exists() {
        return Some(format!("there is no {}", target.display()));
    }
    // A browser of repositories lists a folder; a book has nothing to show of one without a page.
    if there.is_dir() && !there.join("README.md").exists() {
        return Some(format!("the folder {} has no README.md to show", target.display()));
    }
    if target.extension().is_some_and(|extension| extension == "md") && anchor.is_some() {
        return missing_anchor(&Page::read(&target), anchor);
    }
    None
}

fn missing_anchor(page: &Page, anchor: Option<&str>) -> Option<String> {
    let anchor = anchor?;
    let there = page.anchors.iter().any(|other| other == anchor);
    (!there).then(|| format!("no heading is called #{anchor}; there are {}", page.anchors.join(", ")))
}

/// `link` seen from `folder`, both from the root; `None` if it leads out.
pub(crate) fn joined(folder: &Path, link: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in folder.join(link).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    let mut links = 0;
    for path in pages() {
        let page = Page::read(&path);
        links += page.links.len();
        wrong.extend(faults(&path, &page));
    }
    assert!(links > 100, "only {links} links were found");
    assert!(wrong.is_empty(), "{} of {links} links are broken:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_broken_link_is_noticed() {
    let text = "# Here\n[1](#here) [2](#there) [3](../README.md) [4](../README.md#what-it-measures)\n\
                [5](../README.md#nowhere) [6](missing.md) [7](../../etc/passwd) [8](/etc/passwd) [9](https://x.org/#y)\n\
                [10](reference) [11](adr) [12][gone] [13](adr/#x)\n";
    let found = faults(Path::new("docs/x.md"), &Page::of(text));
    let places: Vec<&str> = found.iter().filter_map(|fault| fault.split(": ").nth(1)).collect();
    assert_eq!(
        places,
        [
            "[2](#there)",
            "[5](../README.md#nowhere)",
            "[6](missing.md)",
            "[7](../../etc/passwd)",
            "[8](/etc/passwd)",
            "[10](reference)",
            "gone",
        ],
        "{found:#?}"
    );
}
