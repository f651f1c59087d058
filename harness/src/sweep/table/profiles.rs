//! What a cohort got under each profile.

use std::fmt::Write as _;

use super::grid::Table;
use crate::scenario::value_word;
use crate::sweep::by_profile::{ByProfile, ProfileRow, SeenCohort};

/// Cohorts that got something else under one of the profiles; the others in a line.
pub(super) fn profiles(text: &mut String, by_profile: &ByProfile) {
    let differing: Vec<&ProfileRow> = by_profile.rows.iter().filter(|row| row.differs).collect();
    let same: Vec<&ProfileRow> = by_profile.rows.iter().filter(|row| !row.differs).collect();
    let heading = "What differs from one profile to the next";
    let about = "The usual answers of each cohort, the commonest first (more than every tenth of its attempts), who of its \
        clients held a session at least once, and the diagnosed cause of those who were in trouble. Runs that count, repeats \
        together.";
    if differing.is_empty() {
        let _ = writeln!(text, "\n## {heading}\n\nNothing.");
    } else {
        let mut table = Table::default();
        let names = by_profile.rows.first().map(|row| row.names.0.as_slice()).unwrap_or_default();
        table.head = names.iter().map(|(name, _)| name.clone()).collect();
        table.head.push("cohort".to_owned());
        // Answers are words, and stand at the left as names do.
        table.labels = table.head.len() + by_profile.columns.len();
        table.head.extend(by_profile.columns.iter().cloned());
        for row in differing {
            let mut cells: Vec<String> = row.names.0.iter().map(|(_, value)| value_word(value)).collect();
            cells.push(row.cohort.clone());
            cells.extend(
                row.cells.iter().map(|cell| cell.as_ref().map_or_else(|| "-".to_owned(), SeenCohort::told)),
            );
            table.rows.push(cells);
        }
        table.write(text, heading, about);
    }
    if !same.is_empty() {
        let _ = writeln!(text, "\nThe same under every profile: {}.", folded(&same));
    }
}

/// `tabs, phones (session; all in)`: cohorts by what they got.
fn folded(rows: &[&ProfileRow]) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows {
        let Some(seen) = row.cells.iter().flatten().next() else { continue };
        let got = seen.told();
        let values: Vec<String> = row.names.0.iter().map(|(_, value)| value_word(value)).collect();
        let name = if values.is_empty() {
            row.cohort.clone()
        } else {
            format!("{} {}", row.cohort, values.join(" "))
        };
        match groups.iter_mut().find(|(known, _)| *known == got) {
            Some((_, names)) => names.push(name),
            None => groups.push((got, vec![name])),
        }
    }
    let said = groups.iter().map(|(got, names)| format!("{} ({got})", names.join(", ")));
    said.collect::<Vec<_>>().join("; ")
}
