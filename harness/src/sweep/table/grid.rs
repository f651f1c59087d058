//! A table in Markdown whose columns stand under each other without being rendered, too.

use std::fmt::Write as _;

use crate::scenario::value_word;
use crate::sweep::result::{Row, RowRestart};

/// A table under construction.
#[derive(Default)]
pub(super) struct Table {
    /// How many columns from the left hold names and not figures.
    pub(super) labels: usize,
    with_restart: bool,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// One whose rows are named by combination and, `of_restarts` where one has several, by restart.
    pub(super) fn new(rows: &[Row], of_restarts: bool) -> Self {
        let mut head: Vec<String> = rows
            .first()
            .map(|row| row.names.0.iter().map(|(name, _)| name.clone()).collect())
            .unwrap_or_default();
        let with_restart = of_restarts && rows.iter().any(|row| row.restarts.len() > 1);
        let labels = head.len();
        if with_restart {
            head.push("restart".to_owned());
        }
        Self { labels, with_restart, head, rows: Vec::new() }
    }

    pub(super) fn columns(&mut self, names: &[&str]) {
        self.head.extend(names.iter().map(|name| (*name).to_owned()));
    }

    pub(super) fn row(
        &mut self,
        row: &Row,
        restart: Option<&RowRestart>,
        cells: impl IntoIterator<Item = String>,
    ) {
        let mut all: Vec<String> = row.names.0.iter().map(|(_, value)| value_word(value)).collect();
        if self.with_restart {
            all.push(restart.map_or_else(String::new, |restart| restart.name.clone()));
        }
        all.extend(cells);
        self.rows.push(all);
    }

    pub(super) fn write(&self, text: &mut String, heading: &str, about: &str) {
        let _ = writeln!(text, "\n## {heading}\n");
        if !about.is_empty() {
            let _ = writeln!(text, "{about}\n");
        }
        // A restart's name is no figure either.
        let labels = self.labels + usize::from(self.with_restart);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells = self.rows.iter().chain([&self.head]).filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(3)
            })
            .collect();
        let line = |cells: &[String]| {
            let mut line = String::from("|");
            for (position, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                // A bar would end the cell.
                let cell = cell.replace('|', "/");
                let _ = if position < labels {
                    write!(line, " {cell:<width$} |")
                } else {
                    write!(line, " {cell:>width$} |")
                };
            }
            line
        };
        let rule: String = widths
            .iter()
            .enumerate()
            .map(|(position, width)| {
                let dashes = "-".repeat(width + 1);
                if position < labels { format!("{dashes}-|") } else { format!("{dashes}:|") }
            })
            .collect();
        let _ = writeln!(text, "{}\n|{rule}", line(&self.head));
        for row in &self.rows {
            let _ = writeln!(text, "{}", line(row));
        }
    }
}
