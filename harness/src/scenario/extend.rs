//! `extend` and `remove`: what a file inherits from another one.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use super::FILE_MAX;
use super::diagnostic::{Sink, plain};
use super::document::{self, Entry, Table, Value};
use super::names::suggestion;
use super::reader::{plain_text, texts};
use super::sources::Sources;

/// Most files in a line: beyond, nobody can tell what a scenario says.
const FILES_MAX: usize = 8;

/// The scenario of a text with everything that it inherits. `None` if something could not be read; that has been reported.
pub(super) fn document(source: &str, sink: &Sink, sources: &Sources<'_>) -> Option<Table> {
    let own = document::parse(source, 0, sink)?;
    let name = Path::new(&sink.file()).file_name().map(|name| name.to_string_lossy().into_owned());
    whole(own, &mut vec![name.unwrap_or_default()], sink, sources)
}

/// `line`: the files from the scenario's own to this one, by their path from the scenario's folder.
fn whole(mut table: Table, line: &mut Vec<String>, sink: &Sink, sources: &Sources<'_>) -> Option<Table> {
    let extend = take(&mut table, "extend");
    let remove = take(&mut table, "remove");
    let Some(extend) = extend else {
        let Some(remove) = remove else { return Some(table) };
        let help = "`remove` takes away what a file inherits: name that file, extend = \"other.toml\"";
        sink.report("conflict", &remove.at, "`remove` without `extend`", Some(help.to_owned()));
        return None;
    };
    let inherited = base(&extend, line, sink, sources);
    // Its errors are shown along with those of the base.
    let paths = remove.map(|remove| removed(&remove, sink));
    let mut inherited = inherited?;
    let mut paths = paths.unwrap_or_default();
    // From the end of each list, so that every number is that of the inherited file.
    paths.sort_by_key(|(path, _)| Reverse(item_number(path)));
    let mut taken = BTreeSet::new();
    for (path, at) in paths {
        if !taken.insert(path.clone()) || !take_out(&mut inherited, &path) {
            let message = format!("`{path}` is not inherited: there is nothing to remove");
            sink.report("reference", &at, message, Some(near(&path, &inherited)));
        }
    }
    merge(&mut inherited, table);
    Some(inherited)
}

fn take(table: &mut Table, key: &str) -> Option<Entry> {
    let position = table.entries.iter().position(|entry| entry.key == key)?;
    Some(table.entries.remove(position))
}

/// The file that `extend` names, with everything that it inherits itself.
fn base(extend: &Entry, line: &mut Vec<String>, sink: &Sink, sources: &Sources<'_>) -> Option<Table> {
    let at = &extend.node.span;
    let refuse = |code: &'static str, message: String, help: &str| {
        sink.report(code, at, format!("`extend`: {message}"), Some(help.to_owned()));
        None
    };
    let named = match plain_text(&extend.node) {
        Ok(named) => named,
        Err(problem) => {
            sink.report(problem.code, at, format!("`extend`: {}", problem.message), problem.help);
            return None;
        }
    };
    let path = sink.path_from(at, &named);
    if line.iter().any(|before| plain(Path::new(before)) == plain(Path::new(&path))) {
        let message = format!("`{named}` extends this file, or is it");
        return refuse("reference", message, "what both need may stand in a third file that both extend");
    }
    if line.len() >= FILES_MAX {
        let message = format!("more than {FILES_MAX} files in a line");
        return refuse("limit", message, "extend a file nearer to the beginning of the line");
    }
    let text = match sources.named(&path, FILE_MAX).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => return refuse("io", format!("`{named}` is no text (UTF-8)"), "save it as UTF-8"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let help = "the path counts from the folder of the file that it stands in";
            return refuse("io", format!("there is no `{named}`"), help);
        }
        Err(error) => {
            return refuse("io", format!("`{named}` cannot be read: {error}"), "name a scenario file");
        }
    };
    let start = sink.add(&path, &text);
    let table = document::parse(&text, start, sink)?;
    line.push(path);
    whole(table, line, sink, sources)
}

/// The paths that `remove` names, and where each stands.
fn removed(remove: &Entry, sink: &Sink) -> Vec<(String, document::Span)> {
    let paths = texts(&remove.node).map_err(|problem| {
        let help = Some("for example remove = [\"cohort.tabs\", \"fault\"]".to_owned());
        let message = format!("`remove`: {}", problem.message);
        sink.report(problem.code, &remove.node.span, message, problem.help.or(help));
    });
    let Value::Array(items) = &remove.node.value else { return Vec::new() };
    paths.unwrap_or_default().into_iter().zip(items.iter().map(|item| item.span.clone())).collect()
}

/// The number that a path ends with, if it is that of an item of a list.
fn item_number(path: &str) -> Option<usize> {
    path.rsplit('.').next()?.parse().ok()
}

/// Takes an entry out by its path; names with dots in them may be part of it, as `threshold.lag.p99`. An item of a list goes by
/// its number from 1.
fn take_out(table: &mut Table, path: &str) -> bool {
    if take(table, path).is_some() {
        return true;
    }
    table.entries.iter_mut().any(|entry| {
        let rest = path.strip_prefix(entry.key.as_str()).and_then(|rest| rest.strip_prefix('.'));
        match (&mut entry.node.value, rest) {
            (Value::Table(inner), Some(rest)) => take_out(inner, rest),
            (Value::Array(items), Some(number)) => {
                let position = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                position
                    .filter(|position| *position < items.len())
                    .map(|position| items.remove(position))
                    .is_some()
            }
            _ => false,
        }
    })
}

fn near(path: &str, table: &Table) -> String {
    let mut paths = Vec::new();
    all_paths("", table, &mut paths);
    let known: Vec<&str> = paths.iter().map(String::as_str).collect();
    suggestion(path, &known).map_or_else(
        || {
            "a path is written with dots from the top of the file: \"cohort.tabs\", \"fault.update.down\", \"step.2\""
                .to_owned()
        },
        |near| format!("did you mean `{near}`?"),
    )
}

fn all_paths(prefix: &str, table: &Table, paths: &mut Vec<String>) {
    for entry in &table.entries {
        let path = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
        if let Value::Table(inner) = &entry.node.value {
            all_paths(&path, inner, paths);
        }
        paths.push(path);
    }
}

/// Puts `over` above `below`: tables key by key, everything else as a whole. What only `below` has keeps its place, so that
/// cohorts keep their addresses; what only `over` has comes behind it.
fn merge(below: &mut Table, over: Table) {
    for entry in over.entries {
        match below.entries.iter_mut().find(|known| known.key == entry.key) {
            None => below.entries.push(entry),
            Some(known) => {
                known.at = entry.at;
                known.node.span = entry.node.span;
                match (&mut known.node.value, entry.node.value) {
                    (Value::Table(below), Value::Table(over)) => merge(below, over),
                    (known, value) => *known = value,
                }
            }
        }
    }
}
