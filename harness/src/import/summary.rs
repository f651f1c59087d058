//! What a log told, for a terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::rebuilt::{Generation, Rebuilt};
use super::write::{Written, counted};

/// Words that stand before the list of refusals.
const INDENT: &str = "  ";

/// What was read, who came, and what the scenario has of it.
#[must_use]
pub fn summary(rebuilt: &Rebuilt, written: Option<&Written>) -> String {
    let mut text = String::new();
    let lines = &rebuilt.lines;
    let who = match rebuilt.generation {
        Generation::Old => "OpenClaw, old generation",
        Generation::New => "OpenClaw, new generation",
        Generation::InRepo => "in-repo gateway",
    };
    let _ = writeln!(
        text,
        "{} lines: {} of a gateway ({who}), {} of others, {} broken",
        lines.all, lines.gateway, lines.foreign, lines.broken
    );
    for (file, line, why) in &lines.named {
        let _ = writeln!(text, "{INDENT}{file}:{line}: {why}");
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a log")]
    let span = rebuilt.span.map_or(0.0, |(from, until)| (until - from) as f64 / 1000.0);
    let _ = writeln!(
        text,
        "{} in {span:.1} s, {}{}",
        counted(rebuilt.clients.len() as u64, "client"),
        counted(rebuilt.restarts.len() as u64, "restart"),
        rebuilt.release.as_deref().map(|release| format!(", names itself {release}")).unwrap_or_default()
    );
    let refusals = rebuilt.refusals();
    if !refusals.is_empty() {
        let _ = writeln!(text, "\nRefusals{:>44}{:>17}", "in the log", "in the scenario");
        let none = BTreeMap::new();
        let own = written.map_or(&none, |written| &written.refusals);
        let words: BTreeSet<&str> = refusals.keys().chain(own.keys()).copied().collect();
        for word in words {
            let shown = |counts: &BTreeMap<&'static str, u64>| {
                counts.get(word).map_or_else(|| "-".to_owned(), u64::to_string)
            };
            let _ = writeln!(text, "{INDENT}{word:<40}{:>10}{:>17}", shown(&refusals), shown(own));
        }
    }
    if let Some(written) = written {
        let _ = writeln!(text, "\nCohorts{:>45}{:>17}", "clients", "refusals");
        for cohort in &written.cohorts {
            let _ = writeln!(
                text,
                "{INDENT}{:<40}{:>10}{:>17}",
                cohort.name,
                cohort.clients.len(),
                cohort.refusals
            );
        }
        text.push_str("\nWhat the log does not say\n");
        for note in &written.notes {
            let _ = writeln!(text, "{INDENT}- {note}");
        }
    }
    text
}
