//! The library of scenarios: every known way to fail has a scenario or a reason, every file says what it is, and what is made from
//! the index is true. `UPDATE_DOCS=1 cargo test -p pairstorm --test library` writes what is made.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use harness::vocabulary::cause::Cause;

/// Reported failure modes, F01 to F68.
const MODES: u32 = 68;
/// Statements of the founding article, S1 to S20.
const STATEMENTS: u32 = 20;

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("scenarios")
}

/// Every scenario by its path below `scenarios/`, with its text.
fn library() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![scenarios()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml")
                && !harness::verify::is_expected(&path)
            {
                let name = path.strip_prefix(scenarios()).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(found.len() > 50, "{} scenarios: was the folder moved?", found.len());
    found
}

fn index() -> String {
    fs::read_to_string(scenarios().join("INDEX.md")).unwrap()
}

/// A row of the index.
#[derive(Debug)]
struct Row {
    /// `F07` or `S7`.
    id: String,
    /// What stands behind it: what it is called, and of modes the issues in brackets.
    called: String,
    cause: Option<String>,
    shown: String,
}

/// Rows of modes (four cells) and of statements (two).
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in index().lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else { continue };
        let cells = cells.replace("\\|", "\u{1}");
        let cells: Vec<&str> = cells.split(" | ").collect();
        let (named, cause, shown) = match cells.as_slice() {
            [_, named, cause, shown] if named.starts_with('F') => (*named, Some(*cause), *shown),
            [named, shown] if named.starts_with('S') => (*named, None, *shown),
            _ => continue,
        };
        let Some((id, called)) = named.split_once(": ") else { continue };
        if id.chars().skip(1).all(|digit| digit.is_ascii_digit()) {
            rows.push(Row {
                id: id.to_owned(),
                called: called.to_owned(),
                cause: cause.map(str::to_owned),
                shown: shown.to_owned(),
            });
        }
    }
    rows
}

/// Scenarios that a cell names, by their links.
fn linked(cell: &str) -> Vec<String> {
    cell.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// The modes and statements that a scenario says it shows.
fn shows(text: &str) -> BTreeSet<String> {
    let said = text.split("Shows: ").nth(1).unwrap_or_default();
    let said = said.split(['.', '\n']).next().unwrap_or_default();
    said.split(|c: char| !c.is_ascii_alphanumeric())
        .flat_map(|word| {
            let number = word.get(1..).unwrap_or_default();
            (word.starts_with(['F', 'S']) && number.parse::<u32>().is_ok()).then(|| word.to_owned())
        })
        .collect()
}

#[test]
fn every_mode_and_statement_has_a_scenario_or_a_reason() {
    let library = library();
    let mut seen: Vec<String> = Vec::new();
    let mut faults = Vec::new();
    for row in rows() {
        let links = linked(&row.shown);
        match row.shown.strip_prefix("none: ") {
            Some(why) if links.is_empty() && why.split_whitespace().count() >= 6 => {}
            Some(_) => faults.push(format!("{}: `none: ` and why, without a link", row.id)),
            None if links.is_empty() => {
                faults.push(format!("{}: neither a scenario nor `none: ` and why", row.id));
            }
            None => {}
        }
        for link in links {
            match library.get(&link) {
                None => faults.push(format!("{}: there is no {link}", row.id)),
                Some(text) if !shows(text).contains(&row.id) => {
                    faults.push(format!("{}: {link} does not say `Shows: … {}`", row.id, row.id));
                }
                Some(_) => {}
            }
        }
        seen.push(row.id);
    }
    let mut wanted: Vec<String> = (1..=MODES).map(|number| format!("F{number:02}")).collect();
    wanted.extend((1..=STATEMENTS).map(|number| format!("S{number}")));
    wanted.sort();
    seen.sort();
    assert_eq!(seen, wanted, "the index names each of them once");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_a_scenario_says_it_shows_stands_in_the_index() {
    let rows = rows();
    let mut faults = Vec::new();
    for (name, text) in library() {
        for mode in shows(&text).iter().filter(|mode| mode.starts_with('F')) {
            let there = rows.iter().any(|row| row.id == *mode && linked(&row.shown).contains(&name));
            if !there {
                faults.push(format!("{name} shows {mode}, and the index does not say so"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_scenario_says_what_it_shows_where_it_is_from_and_how_long_it_takes() {
    let readme = fs::read_to_string(scenarios().join("README.md")).unwrap();
    let mut faults = Vec::new();
    for (name, text) in library() {
        let mut miss = |what: &str| faults.push(format!("{name}: {what}"));
        // The first line names the schema, for editors.
        if !text.lines().nth(1).is_some_and(|line| line.starts_with("# How to read it: ")) {
            miss("its second line must begin with `# How to read it: `, what to look at");
        }
        if shows(&text).is_empty() {
            miss("`about` names no statement or mode: `Shows: S1, F01.`");
        }
        let of = |word: &str| text.split(word).nth(1).and_then(|rest| rest.split(['\n', '"']).next());
        if of("\nFrom: ").is_none_or(|from| from.trim_end_matches('.').trim().is_empty()) {
            miss("`about` does not say where it comes from: a line `From: #123, article …`");
        }
        if !of("Takes about ").is_some_and(|takes| takes.starts_with(|c: char| c.is_ascii_digit())) {
            miss("`about` does not say how long it takes: `Takes about 5 s`");
        }
        if !harness::verify::beside(&scenarios().join(&name)).exists() {
            miss("no expected result lies beside it; `pairstorm verify FILE --update` writes one");
        }
        let folder = name.rsplit_once('/').map(|(folder, _)| format!("`{folder}/*.toml`"));
        if !readme.contains(&format!("`{name}`")) && !folder.is_some_and(|folder| readme.contains(&folder)) {
            miss("scenarios/README.md has no row of it, nor of its folder");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_expected_result_is_left_behind_and_all_can_be_read() {
    let library = library();
    let mut folders = vec![scenarios()];
    let mut faults = Vec::new();
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if !harness::verify::is_expected(&path) {
                continue;
            }
            read += 1;
            let name = path.strip_prefix(scenarios()).unwrap().display().to_string();
            let scenario = name.replace(harness::verify::ENDING, ".toml");
            if !library.contains_key(&scenario) {
                faults.push(format!("{name}: there is no {scenario}"));
            }
            let text = fs::read_to_string(&path).unwrap();
            if let Err(error) = harness::verify::expected::Expected::parse(&text) {
                faults.push(format!("{name}: {error}"));
            }
        }
    }
    assert!(read > 50, "{read} expected results: were they moved?");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What the index makes of its rows: which modes have a cause, and which were reported where.
fn made() -> (String, String) {
    let mut causes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut issues: BTreeMap<(String, u64), Vec<String>> = BTreeMap::new();
    for row in rows() {
        let Some(cause) = &row.cause else { continue };
        let shown = if row.shown.starts_with("none: ") {
            format!("{} (no scenario)", row.id)
        } else {
            let links: Vec<String> =
                linked(&row.shown).iter().map(|link| format!("[`{link}`]({link})")).collect();
            format!("{} {}", row.id, links.join(" "))
        };
        for cause in cause.split(", ") {
            causes.entry(cause.to_owned()).or_default().push(shown.clone());
        }
        let reported = row.called.rsplit_once(" (").and_then(|(_, issues)| issues.strip_suffix(')'));
        for issue in reported.unwrap_or_default().split(", ") {
            let Some((repository, number)) = issue.split_once('#') else { continue };
            let number = number.parse().unwrap_or_else(|_| panic!("{}: `{issue}` is no issue", row.id));
            issues.entry((repository.trim().to_owned(), number)).or_default().push(shown.clone());
        }
    }
    let table = |heading: &str, rows: Vec<(String, Vec<String>)>| {
        let mut text = format!("| {heading} | modes and scenarios |\n|---|---|\n");
        for (name, shown) in rows {
            text.push_str(&format!("| {name} | {} |\n", shown.join("; ")));
        }
        text
    };
    let causes = causes.into_iter().map(|(cause, shown)| (format!("`{cause}`"), shown)).collect();
    let issues = issues
        .into_iter()
        .map(|((repository, number), shown)| (format!("{repository} #{number}").trim().to_owned(), shown))
        .collect();
    (table("cause", causes), table("issue", issues))
}

/// Which modes a cause stands for is said by the diagnosis; the index must not say otherwise.
#[test]
fn causes_of_modes_are_those_of_the_diagnosis() {
    for row in rows() {
        let Some(said) = &row.cause else { continue };
        let causes: Vec<&str> = Cause::ALL
            .into_iter()
            .filter(|cause| cause.numbers().split(", ").any(|number| number == row.id))
            .map(Cause::as_str)
            .collect();
        let due = if causes.is_empty() { Cause::CannotTell.as_str().to_owned() } else { causes.join(", ") };
        assert_eq!(*said, due, "{}", row.id);
    }
}

#[test]
fn the_tables_by_cause_and_by_issue_are_those_of_the_rows() {
    let (causes, issues) = made();
    let mut text = index();
    for (mark, table) in [("causes", causes), ("issues", issues)] {
        let (begin, end) = (format!("<!-- {mark}:begin -->\n"), format!("<!-- {mark}:end -->"));
        let (before, rest) = text.split_once(&begin).expect("the mark");
        let (inside, after) = rest.split_once(&end).expect("the mark");
        if std::env::var_os("UPDATE_DOCS").is_none() {
            assert_eq!(inside, table, "run this test with UPDATE_DOCS=1 and commit the file");
        }
        text = format!("{before}{begin}{table}{end}{after}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(scenarios().join("INDEX.md"), text).unwrap();
    }
}
