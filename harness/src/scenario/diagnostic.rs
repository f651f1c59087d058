//! What is wrong with a scenario, where, and how it is shown.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// One thing that is wrong with a scenario file or with the options it is run with.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable word for the kind of error, for example `unknown-key`; see `scenarios/README.md`.
    pub code: &'static str,
    /// What is wrong, one line.
    pub message: String,
    /// The file as it was named, or `command line`.
    pub file: String,
    /// Line of the offending text, counted from 1; 1 when no text is to blame.
    pub line: usize,
    /// Column in characters, counted from 1; 1 when no text is to blame.
    pub column: usize,
    /// Line in which the offending text ends.
    pub end_line: usize,
    /// Column behind its last character; that of `column` when no text is to blame.
    pub end_column: usize,
    /// Byte range of the offending text; `None` when the file could not be read or an option is to blame.
    pub span: Option<Range<usize>>,
    /// How to put it right.
    pub help: Option<String>,
    /// Text that `span` points into, with credentials masked.
    source: Arc<str>,
}

impl fmt::Debug for Diagnostic {
    /// Everything but the source text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostic")
            .field("code", &self.code)
            .field("message", &self.message)
            .field("file", &self.file)
            .field("line", &self.line)
            .field("column", &self.column)
            .field("span", &self.span)
            .field("help", &self.help)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: message`, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl Diagnostic {
    /// An error that no text of a file is to blame for.
    #[must_use]
    pub fn without_text(
        code: &'static str,
        file: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            file: file.to_owned(),
            line: 1,
            column: 1,
            end_line: 1,
            end_column: 1,
            span: None,
            help,
            source: Arc::from(""),
        }
    }
}

/// The diagnostics as text for people, in the manner of rustc: the offending text underlined, and what to do about it.
///
/// Every diagnostic about a file shows `file:line:column`. Without `color` the text holds no escape sequence.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in diagnostics {
        let title = Level::ERROR.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
        let group = match &diagnostic.span {
            Some(span) => title.element(
                Snippet::source(&*diagnostic.source)
                    .path(diagnostic.file.as_str())
                    .annotation(AnnotationKind::Primary.span(span.clone())),
            ),
            None if diagnostic.file == COMMAND_LINE => {
                title.element(Level::NOTE.message("on the command line"))
            }
            None => title.element(
                annotate_snippets::Origin::path(diagnostic.file.as_str())
                    .line(diagnostic.line)
                    .char_column(diagnostic.column),
            ),
        };
        let group = match &diagnostic.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        };
        text.push_str(&renderer.render(&[group]));
        text.push_str("\n\n");
    }
    text
}

/// Stands for a file where an option is to blame.
pub(crate) const COMMAND_LINE: &str = "command line";

/// Errors of a file that are shown: more are of no use to anyone, and each costs a pass over the text.
const SHOWN_MAX: usize = 50;

/// Where the errors of a scenario are gathered.
///
/// Its files stand one behind the other on one line of offsets, so that a span says in which file a text stands, whatever
/// that text was merged with.
pub(super) struct Sink {
    files: RefCell<Vec<SourceFile>>,
    found: RefCell<Vec<Found>>,
    secrets: RefCell<Vec<Range<usize>>>,
}

/// A file whose text can be to blame.
#[derive(Clone)]
struct SourceFile {
    /// As it is named to people.
    shown: String,
    /// Path from the folder of the scenario's own file, as it is read by.
    path: String,
    /// Where its text begins on the line of offsets.
    start: usize,
    text: Arc<str>,
}

impl SourceFile {
    fn relative(&self, span: &Range<usize>) -> Range<usize> {
        span.start.saturating_sub(self.start)..span.end.saturating_sub(self.start)
    }
}

struct Found {
    code: &'static str,
    message: String,
    /// `None`: an option of the command line is to blame.
    span: Option<Range<usize>>,
    /// Line of another file, when that is to blame; `span` is where the scenario names the file.
    elsewhere: Option<(String, usize)>,
    help: Option<String>,
}

impl Sink {
    pub(super) fn new(file: &str, source: &str) -> Self {
        let path = Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned());
        let own = SourceFile {
            shown: file.to_owned(),
            path: path.unwrap_or_default(),
            start: 0,
            text: Arc::from(source),
        };
        Self { files: RefCell::new(vec![own]), found: RefCell::default(), secrets: RefCell::default() }
    }

    /// The same files, and nothing found in them.
    pub(super) fn again(&self) -> Self {
        Self { files: self.files.clone(), found: RefCell::default(), secrets: RefCell::default() }
    }

    /// Adds a file that the scenario is made from; gives the offset at which its text begins.
    pub(super) fn add(&self, path: &str, text: &str) -> usize {
        let mut files = self.files.borrow_mut();
        // One apart, so that the end of a text is not the beginning of the next one.
        let start = files.last().map_or(0, |last| last.start + last.text.len() + 1);
        let own = files.first().map_or("", |own| own.shown.as_str());
        let shown = plain(&Path::new(own).with_file_name(path));
        files.push(SourceFile { shown, path: path.to_owned(), start, text: Arc::from(text) });
        start
    }

    /// The scenario's own file, as it was named.
    pub(super) fn file(&self) -> String {
        self.files.borrow().first().map(|own| own.shown.clone()).unwrap_or_default()
    }

    /// Path from the scenario's folder to a file that is named at `span`: paths count from the folder of the file that
    /// they stand in.
    pub(super) fn path_from(&self, span: &Range<usize>, named: &str) -> String {
        let own = self.file_at(span).path;
        Path::new(&own).with_file_name(named).display().to_string()
    }

    /// `base.toml:12`, if the text stands in another file than the scenario's own.
    pub(super) fn inherited(&self, span: &Range<usize>) -> Option<String> {
        let file = self.file_at(span);
        let (line, _) = position(&file.text, file.relative(span).start);
        (file.start > 0).then(|| format!("{}:{line}", file.shown))
    }

    fn file_at(&self, span: &Range<usize>) -> SourceFile {
        let files = self.files.borrow();
        let file = files.iter().rfind(|file| file.start <= span.start).or_else(|| files.first());
        file.cloned().unwrap_or_else(|| SourceFile {
            shown: String::new(),
            path: String::new(),
            start: 0,
            text: Arc::from(""),
        })
    }

    pub(super) fn report(
        &self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let span = Some(span.clone());
        self.found.borrow_mut().push(Found { code, message: message.into(), span, elsewhere: None, help });
    }

    /// An option of the command line is to blame, no text of the file.
    pub(super) fn report_option(&self, code: &'static str, message: String, help: Option<String>) {
        self.found.borrow_mut().push(Found { code, message, span: None, elsewhere: None, help });
    }

    /// A line (from 1) of a file that the scenario names at `span` is to blame. The file's text is not shown.
    pub(super) fn report_line(
        &self,
        span: &Range<usize>,
        file: &str,
        line: usize,
        message: String,
        help: String,
    ) {
        self.found.borrow_mut().push(Found {
            code: "value",
            message,
            span: Some(span.clone()),
            elsewhere: Some((plain(&Path::new(&self.file_at(span).shown).with_file_name(file)), line)),
            help: Some(help),
        });
    }

    /// The text of this range is never shown.
    pub(super) fn hide(&self, span: &Range<usize>) {
        self.secrets.borrow_mut().push(span.clone());
    }

    /// Line at which a range begins, counted from 1, in the file that it stands in.
    pub(super) fn line(&self, span: &Range<usize>) -> u32 {
        let file = self.file_at(span);
        u32::try_from(position(&file.text, file.relative(span).start).0).unwrap_or(u32::MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// The errors in the order of the texts, at most [`SHOWN_MAX`].
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let secrets = self.secrets.into_inner();
        let files: Vec<SourceFile> = self
            .files
            .into_inner()
            .into_iter()
            .map(|file| {
                let own: Vec<_> = secrets.iter().map(|secret| file.relative(secret)).collect();
                SourceFile { text: masked(&file.text, &own).into(), ..file }
            })
            .collect();
        let mut found = self.found.into_inner();
        found.sort_by_key(|one| {
            (
                one.span.as_ref().map(|span| (span.start, span.end)),
                one.elsewhere.as_ref().map(|(_, line)| *line),
            )
        });
        found.dedup_by(|a, b| a.span == b.span && a.elsewhere == b.elsewhere && a.message == b.message);
        let more = found.len().saturating_sub(SHOWN_MAX);
        found.truncate(SHOWN_MAX);
        let mut diagnostics: Vec<Diagnostic> = found.into_iter().map(|one| one.shown(&files)).collect();
        if more > 0 {
            let own = files.first().map_or("", |own| own.shown.as_str());
            let message = format!("and {more} more errors");
            diagnostics.push(Diagnostic::without_text("limit", own, message, None));
        }
        diagnostics
    }
}

impl Found {
    fn shown(self, files: &[SourceFile]) -> Diagnostic {
        let file = self.span.as_ref().and_then(|span| files.iter().rfind(|file| file.start <= span.start));
        let (Some(span), Some(file)) = (self.span, file) else {
            return Diagnostic::without_text(self.code, COMMAND_LINE, self.message, self.help);
        };
        if let Some((file, line)) = self.elsewhere {
            let place = Diagnostic::without_text(self.code, &file, self.message, self.help);
            return Diagnostic { line, end_line: line, ..place };
        }
        let span = within(&file.text, file.relative(&span));
        let (line, column) = position(&file.text, span.start);
        let (end_line, end_column) = position(&file.text, span.end);
        Diagnostic {
            code: self.code,
            message: self.message,
            file: file.shown.clone(),
            line,
            column,
            end_line,
            end_column,
            span: Some(span),
            help: self.help,
            source: Arc::clone(&file.text),
        }
    }
}

/// A path without `folder/..`, for people: `scenarios/a/../base.toml` is `scenarios/base.toml`.
pub(super) fn plain(path: &Path) -> String {
    use std::path::Component;
    let mut parts: Vec<Component<'_>> = Vec::new();
    for part in path.components() {
        match (part, parts.last()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.iter().collect::<std::path::PathBuf>().display().to_string()
}

/// The span cut to the text and moved to character boundaries, so that no error of ours can break the rendering.
fn within(source: &str, span: Range<usize>) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

/// Line and column of a byte offset, both counted from 1, the column in characters.
fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The text with every character of the given ranges replaced by as many `*` as it has bytes.
fn masked(source: &str, secrets: &[Range<usize>]) -> String {
    let mut text = String::with_capacity(source.len());
    for (at, c) in source.char_indices() {
        let hidden = c != '\n' && secrets.iter().any(|secret| secret.contains(&at));
        if hidden {
            text.extend(std::iter::repeat_n('*', c.len_utf8()));
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_underlined_where_it_stands() {
        let source = "name = \"ä\"\n[cohort.tabs]\ncout = 5\n";
        let sink = Sink::new("x.toml", source);
        let at = source.find("cout").unwrap();
        sink.report(
            "unknown-key",
            &(at..at + 4),
            "unknown key `cout`",
            Some("did you mean `count`?".to_owned()),
        );
        let diagnostics = sink.into_diagnostics();
        assert_eq!((diagnostics[0].line, diagnostics[0].column), (3, 1));
        assert_eq!((diagnostics[0].end_line, diagnostics[0].end_column), (3, 5));
        insta::assert_snapshot!(render(&diagnostics, false), @r"
        error[unknown-key]: unknown key `cout`
         --> x.toml:3:1
          |
        3 | cout = 5
          | ^^^^
          |
          = help: did you mean `count`?
        ");
        assert!(render(&diagnostics, true).contains('\u{1b}'));
    }

    #[test]
    fn an_error_is_shown_in_the_file_that_it_stands_in() {
        let sink = Sink::new("scenarios/a/x.toml", "seed = 1\n");
        let base = "name = \"ö\"\ntoken = \"hush\"\n";
        let start = sink.add("../base.toml", base);
        let at = |text: &str| {
            let found = start + base.find(text).unwrap();
            found..found + text.len()
        };
        sink.hide(&at("\"hush\""));
        sink.report("credential", &at("token"), "no", None);
        // The end of one text is not the beginning of the next.
        sink.report("syntax", &(9..9), "more", None);
        assert_eq!(sink.inherited(&at("token")).as_deref(), Some("scenarios/base.toml:2"));
        assert_eq!(sink.inherited(&(9..9)), None);
        assert_eq!(sink.path_from(&at("name"), "lists/a.txt"), "../lists/a.txt");
        let diagnostics = sink.into_diagnostics();
        let places: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(places, ["scenarios/a/x.toml:2:1: more", "scenarios/base.toml:2:1: no"]);
        assert!(!render(&diagnostics, false).contains("hush"));
    }

    #[test]
    fn a_flood_of_errors_is_cut_off() {
        let source = "x = 1\n".repeat(200);
        let sink = Sink::new("x.toml", &source);
        for line in 0..200 {
            sink.report("unknown-key", &(line * 6..line * 6 + 1), "no", None);
        }
        let diagnostics = sink.into_diagnostics();
        assert_eq!(diagnostics.len(), SHOWN_MAX + 1);
        assert_eq!(diagnostics[SHOWN_MAX].message, "and 150 more errors");
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(position("a\näöx", "a\näö".len()), (2, 3));
        assert_eq!(position("", 0), (1, 1));
    }

    #[test]
    fn a_secret_is_shown_in_no_error() {
        let source = "token = \"hünter2\"\n";
        let sink = Sink::new("x.toml", source);
        sink.hide(&(8..source.len() - 1));
        sink.report("credential", &(0..5), "no", None);
        let text = render(&sink.into_diagnostics(), false);
        assert!(text.contains("token = ****"), "{text}");
        assert!(!text.contains("hünter2"), "{text}");
    }
}
