//! A page of Markdown: its headings, its links, its blocks of code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// Folders that hold no pages of this repository.
const NOT_OURS: [&str; 4] = ["target", ".git", "runs", "node_modules"];

/// Root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository").to_owned()
}

/// All pages of the repository, as paths from its root, sorted.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![root()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(root()).expect("below the root").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// A link or a picture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) line: usize,
    /// Where it leads; `None`: it names a reference that the page does not have.
    pub(crate) to: Option<String>,
    pub(crate) text: String,
}

/// A block of code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Of its first line of code.
    pub(crate) line: usize,
    /// What stands behind the fence; `None`: an indented block, which has none.
    pub(crate) info: Option<String>,
    pub(crate) code: String,
}

/// What a page holds, in order.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) anchors: Vec<String>,
    pub(crate) links: Vec<Link>,
    pub(crate) blocks: Vec<Block>,
    /// Code in the midst of text, with its line.
    pub(crate) spans: Vec<(usize, String)>,
}

impl Page {
    pub(crate) fn read(path: &Path) -> Self {
        Self::of(&fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path:?}: {error}")))
    }

    pub(crate) fn of(text: &str) -> Self {
        let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
        let mut page = Self::default();
        // `[text][name]` without such a name is text, for Markdown; for a reader it is a link that leads nowhere.
        let mut nowhere = Vec::new();
        let mut meet = |link: BrokenLink<'_>| -> Option<(CowStr<'_>, CowStr<'_>)> {
            if matches!(link.link_type, LinkType::Reference | LinkType::Collapsed) {
                nowhere.push((link.span.start, link.reference.to_string()));
            }
            None
        };
        let mut heading: Option<String> = None;
        let mut used: BTreeMap<String, usize> = BTreeMap::new();
        let mut code: Option<Block> = None;
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        let parser = Parser::new_with_broken_link_callback(text, options, Some(&mut meet));
        for (event, range) in parser.into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let before = used.entry(anchor.clone()).or_default();
                    page.anchors.push(match *before {
                        0 => anchor,
                        times => format!("{anchor}-{times}"),
                    });
                    *before += 1;
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    let line = line_of(range.start);
                    page.links.push(Link {
                        line,
                        to: Some(dest_url.to_string()),
                        text: text[range].to_owned(),
                    });
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let info = match kind {
                        pulldown_cmark::CodeBlockKind::Fenced(info) => Some(info.to_string()),
                        pulldown_cmark::CodeBlockKind::Indented => None,
                    };
                    let line = line_of(range.start) + usize::from(info.is_some());
                    code = Some(Block { line, info, code: String::new() });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(code.take()),
                Event::Text(part) => {
                    if let Some(block) = &mut code {
                        block.code.push_str(&part);
                    } else if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                }
                Event::Code(part) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                    page.spans.push((line_of(range.start), part.to_string()));
                }
                _ => {}
            }
        }
        page.links.extend(nowhere.into_iter().map(|(at, text)| Link { line: line_of(at), to: None, text }));
        page
    }
}

/// The anchor of a heading, as repository browsers and mdbook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

#[test]
fn a_page_is_taken_apart() {
    let page = Page::of(
        "# One `two`, three\n\n[a](b.md#c) and ![p](p.png)\n[lost][nowhere] [1..2]\n\n```sh x: y\ncode\n```\n\n\
         ## One two three\n\n    indented\n",
    );
    assert_eq!(page.anchors, ["one-two-three", "one-two-three-1"]);
    let links: Vec<(usize, Option<&str>)> =
        page.links.iter().map(|link| (link.line, link.to.as_deref())).collect();
    assert_eq!(links, [(3, Some("b.md#c")), (3, Some("p.png")), (4, None)]);
    assert_eq!(
        page.blocks,
        [
            Block { line: 7, info: Some("sh x: y".to_owned()), code: "code\n".to_owned() },
            Block { line: 12, info: None, code: "indented\n".to_owned() },
        ]
    );
}
