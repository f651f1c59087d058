//! How figures grow with a size, a table of exponents for each kind of figure.

use std::fmt::Write as _;

use super::grid::Table;
use crate::scenario::value_word;
use crate::sweep::names::Names;
use crate::sweep::result::{Growth, SweepResult};

/// Tables: a row a combination and restart, a column a figure that has an exponent anywhere.
pub(super) fn growth(text: &mut String, sweep: &SweepResult) {
    let Some(over) = &sweep.fit_over else { return };
    for heading in ["whole runs", "stages of a restart", "coming back", "handshakes", "the store"] {
        let all: Vec<&Growth> = sweep.growth.iter().filter(|growth| part(growth) == heading).collect();
        let mut figures: Vec<&str> = Vec::new();
        let mut subjects: Vec<(&Names, Option<&str>)> = Vec::new();
        for growth in &all {
            let subject = (&growth.names, growth.restart.as_deref());
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
            if growth.fitted.is_some() && !figures.contains(&growth.figure.as_str()) {
                figures.push(&growth.figure);
            }
        }
        if all.is_empty() {
            continue;
        }
        let heading = format!("Growth with {over}, {heading}");
        if figures.is_empty() {
            let why = all.iter().find_map(|growth| growth.not_enough).map_or("", |why| why.as_str());
            let _ = writeln!(text, "\n## {heading}\n\nNot enough: {why}.");
            continue;
        }
        let with_restart = subjects.iter().any(|(_, restart)| restart.is_some());
        let mut table = Table::default();
        for (name, _) in subjects.first().map(|(names, _)| names.0.as_slice()).unwrap_or_default() {
            table.head.push(name.clone());
        }
        if with_restart {
            table.head.push("restart".to_owned());
        }
        table.labels = table.head.len();
        table.columns(&figures);
        for (names, restart) in subjects {
            let mut cells: Vec<String> = names.0.iter().map(|(_, value)| value_word(value)).collect();
            cells.extend(restart.map(str::to_owned));
            cells.extend(figures.iter().map(|figure| {
                let of_this = all.iter().find(|growth| {
                    growth.figure == *figure && growth.names == *names && growth.restart.as_deref() == restart
                });
                of_this.map_or_else(|| "-".to_owned(), |growth| exponent(growth))
            }));
            table.rows.push(cells);
        }
        let about = format!(
            "Exponents of {over} with their 95 % intervals: 0 = the figure does not depend on it, 1 = it is proportional. Least \
             squares on logarithms over the medians; a wide interval says that no power law fits."
        );
        table.write(text, &heading, &about);
    }
}

/// Which table of growth a figure is in.
fn part(growth: &Growth) -> &'static str {
    let figure = growth.figure.as_str();
    if growth.restart.is_none() {
        "whole runs"
    } else if figure.starts_with("back.") || figure == "attempts_per_recovered_client" {
        "coming back"
    } else if figure.starts_with("handshakes.") {
        "handshakes"
    } else if figure.starts_with("store.") {
        "the store"
    } else {
        "stages of a restart"
    }
}

fn exponent(growth: &Growth) -> String {
    match (&growth.fitted, growth.not_enough) {
        (Some(fit), _) => {
            format!("{} ({} to {})", signed(fit.exponent), signed(fit.low), signed(fit.high))
        }
        (None, Some(why)) => format!("not enough: {}", why.as_str()),
        (None, None) => "-".to_owned(),
    }
}

/// Two digits, and no `-0.00`.
fn signed(value: f64) -> String {
    let text = format!("{value:.2}");
    if text == "-0.00" { "0.00".to_owned() } else { text }
}
