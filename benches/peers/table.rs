//! The table that people read.

use std::fmt::Write as _;

use serde::Serialize;

use super::peer::{Expresses, Peer};
use super::run::{Conditions, Run};
use benches::rounds::Spread;

use super::slope::seconds_each;

/// Everything that was found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What all runs had in common.
    #[serde(flatten)]
    pub(crate) conditions: Conditions,
    /// Length of `hello-ok` as on the command line.
    pub(crate) hello: &'static str,
    /// Whether tools and server shared a core.
    pub(crate) shared_core: bool,
    /// A row a tool.
    pub(crate) rows: Vec<Row>,
}

/// What was found out about one tool.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// Which.
    pub(crate) peer: Peer,
    /// Versions; none if it could not be had.
    pub(crate) version: Option<String>,
    /// Why there are no figures, or fewer than asked for.
    pub(crate) missing: Option<String>,
    /// The run in which the server verified signatures.
    pub(crate) verified: Option<Run>,
    /// The run in which nobody was let in.
    pub(crate) refused: Option<Run>,
    /// What no run shows.
    pub(crate) expresses: Expresses,
    /// A short and a long run each, in the order of the rounds. None where one of them failed.
    pub(crate) rounds: Vec<Option<Round>>,
}

/// A short and a long run.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    /// Mostly start-up.
    pub(crate) short: Run,
    /// Mostly handshakes.
    pub(crate) long: Run,
}

impl Round {
    /// CPU time a handshake, microseconds.
    fn cpu_micros(&self) -> Option<f64> {
        seconds_each(self.short.cpu(), self.long.cpu()).map(|seconds| seconds * 1e6)
    }

    /// Handshakes a second.
    fn rate(&self) -> Option<f64> {
        seconds_each(self.short.wall(), self.long.wall()).map(f64::recip)
    }
}

impl Row {
    /// Notes why something is not there.
    pub(crate) fn add_missing(&mut self, why: &str) {
        let missing = self.missing.get_or_insert_default();
        if !missing.is_empty() {
            missing.push_str("; ");
        }
        missing.push_str(why);
    }

    fn cpu_micros(&self, round: usize) -> Option<f64> {
        self.rounds.get(round)?.as_ref()?.cpu_micros()
    }

    /// Median over the rounds of the ratio of its CPU time a handshake to the other's in the same round.
    fn ratio_to(&self, other: Option<&Self>) -> Option<f64> {
        let other = other?;
        let ratios = (0..self.rounds.len())
            .filter_map(|round| Some(self.cpu_micros(round)? / other.cpu_micros(round)?))
            .collect::<Vec<_>>();
        Spread::of(&ratios).map(|spread| spread.median)
    }

    /// Of the long runs.
    fn sum(&self, of: impl Fn(&Run) -> u64) -> u64 {
        self.rounds.iter().flatten().map(|round| of(&round.long)).sum()
    }

    fn signature(&self) -> String {
        let Some(run) = &self.verified else { return "not tried".to_owned() };
        let (good, bad) = (run.served.signatures_good, run.served.signatures_bad);
        match run.served.first_bad {
            Some(cause) => format!("{good} of {} valid ({cause})", good + bad),
            None => format!("{good} of {good} valid"),
        }
    }

    fn refusal(&self) -> String {
        if let Some(known) = self.expresses.close_code {
            return known.to_owned();
        }
        let Some(run) = &self.refused else { return "not tried".to_owned() };
        let (named, refused) = (run.told.refusals_by_code(), run.served.rejected);
        match (named, run.told.failed) {
            (0, 0) if run.told.succeeded > 0 => format!("taken for {} successes", run.told.succeeded),
            (0, failed) => format!("no, only {failed} of {refused} failed"),
            (named, _) => format!("{named} of {refused}"),
        }
    }
}

impl Report {
    fn row(&self, peer: Peer) -> Option<&Row> {
        self.rows.iter().find(|row| row.peer == peer)
    }

    /// The table as text.
    pub(crate) fn text(&self) -> String {
        let rounds = self.rows.iter().map(|row| row.rounds.len()).max().unwrap_or(0);
        let Conditions { in_flight, client_core, server_core, .. } = self.conditions;
        let mut text = format!(
            "The same handshake with the same server, {rounds} rounds; hello-ok {}, {in_flight} at a time where a tool can be told.\n\
             Tools on core {client_core}, server on core {server_core}. CPU: user and system of all of a tool's processes, by the handshake,\n\
             from the difference of a long and a short run; medians of the rounds, ratios within a round.\n",
            self.hello
        );
        if self.shared_core {
            text.push_str("They shared one core: rates say nothing, and CPU little.\n");
        }
        text.push('\n');
        text.push_str(&aligned(&self.figures(), 2));
        text.push_str(
            "\nhs/s: of artillery and tsung what came of the rate that they were asked for (3000 and 1500), of the others the most that they could.\n\
             begun, incomplete: as the server counts, long runs. unsaid: where the tool's own count of successes differs from it.\n\n",
        );
        text.push_str(&aligned(&self.words(), usize::MAX));
        for row in &self.rows {
            if let Some(missing) = &row.missing {
                // Writing to a text cannot fail.
                let _ = write!(text, "\n{}: {missing}\n", row.peer.name());
            }
        }
        text
    }

    fn figures(&self) -> Vec<Vec<String>> {
        let head = [
            "tool",
            "version",
            "hs/s",
            "CPU us/hs",
            "min..max",
            "x floor",
            "x pairstorm",
            "at a time",
            "begun",
            "incomplete",
            "unsaid",
        ];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        for row in self.rows.iter().filter(|row| row.version.is_some()) {
            let cpu: Vec<_> = (0..row.rounds.len()).filter_map(|round| row.cpu_micros(round)).collect();
            let rates: Vec<_> = row.rounds.iter().flatten().filter_map(Round::rate).collect();
            let figure = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
            };
            let at_a_time = row.rounds.iter().flatten().map(|round| round.long.served.open_max).max();
            lines.push(vec![
                row.peer.name().to_owned(),
                row.version.clone().unwrap_or_default(),
                figure(Spread::of(&rates).map(|spread| spread.median), 0),
                figure(Spread::of(&cpu).map(|spread| spread.median), 1),
                Spread::of(&cpu)
                    .map_or_else(|| "-".to_owned(), |cpu| format!("{:.0}..{:.0}", cpu.min, cpu.max)),
                figure(row.ratio_to(self.row(Peer::Floor)), 2),
                figure(row.ratio_to(self.row(Peer::Pairstorm)), 2),
                at_a_time.map_or_else(|| "-".to_owned(), |most| most.to_string()),
                row.sum(|run| run.served.accepted).to_string(),
                row.sum(Run::incomplete).to_string(),
                row.sum(Run::unreported).to_string(),
            ]);
        }
        lines
    }

    fn words(&self) -> Vec<Vec<String>> {
        let head = [
            "tool",
            "signatures",
            "refusals told by close code",
            "open arrivals",
            "latency from the intended start",
        ];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        for row in self.rows.iter().filter(|row| row.version.is_some()) {
            lines.push(vec![
                row.peer.name().to_owned(),
                row.signature(),
                row.refusal(),
                row.expresses.open_arrivals.to_owned(),
                row.expresses.intended_start.to_owned(),
            ]);
        }
        lines
    }
}

/// Columns, the first `texts` of them flush left and the others, which are figures, flush right.
fn aligned(lines: &[Vec<String>], texts: usize) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            lines
                .iter()
                .filter_map(|line| line.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Writing to a text cannot fail.
            let _ = if column < texts {
                write!(row, "{cell:<width$}  ")
            } else {
                write!(row, "{cell:>width$}  ")
            };
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use benches::reference_server::{Counts, HelloSize};

    use super::*;
    use crate::told::Told;

    fn run(handshakes: u64, wall_seconds: f64, cpu_seconds: f64) -> Run {
        let served = Counts {
            accepted: handshakes,
            upgraded: handshakes,
            hellos: handshakes,
            closed: handshakes,
            open_max: 32,
            ..Counts::default()
        };
        let told = Told { succeeded: handshakes, ..Told::default() };
        Run { wall_seconds, cpu_seconds, told, served }
    }

    fn row(peer: Peer, version: &str, micros: &[f64]) -> Row {
        let round = |micros: &f64| {
            let seconds = micros / 1e6;
            Some(Round {
                short: run(1_000, 1.5, 1.0 + 1_000.0 * seconds),
                long: run(5_000, 3.5, 1.0 + 5_000.0 * seconds),
            })
        };
        Row {
            peer,
            version: Some(version.to_owned()),
            missing: None,
            verified: None,
            refused: None,
            expresses: peer.expresses(),
            rounds: micros.iter().map(round).collect(),
        }
    }

    fn report(rows: Vec<Row>) -> Report {
        let conditions = Conditions { hello: HelloSize::OneK, in_flight: 32, client_core: 0, server_core: 1 };
        Report { conditions, hello: "1k", shared_core: false, rows }
    }

    #[test]
    fn the_table_says_what_was_found_out() {
        let mut floor = row(Peer::Floor, "this commit", &[50.0, 40.0, 60.0]);
        floor.verified = Some(run(0, 1.0, 1.0));
        let mut pairstorm = row(Peer::Pairstorm, "this commit", &[100.0, 60.0, 150.0]);
        let mut verified = run(320, 1.0, 1.0);
        verified.served.signatures_good = 320;
        pairstorm.verified = Some(verified);
        let mut tsung = row(Peer::Tsung, "1.7.0", &[400.0, 400.0, 400.0]);
        let mut verified = run(320, 1.0, 1.0);
        verified.served.signatures_bad = 204;
        verified.served.first_bad = Some("device-nonce-missing");
        tsung.verified = Some(verified);
        let mut refused = run(0, 1.0, 1.0);
        refused.served.rejected = 204;
        refused.told = Told { failed: 204, ..Told::default() };
        tsung.refused = Some(refused);
        let mut node = row(Peer::NodeWs, "ws 8", &[200.0, 300.0]);
        node.rounds.push(None);
        node.missing = Some("round 3: it ended with signal 9".to_owned());
        let mut refused = run(0, 1.0, 1.0);
        refused.served.rejected = 10;
        refused.told.failed = 10;
        refused.told.failures = [("closed 1008".to_owned(), 10)].into();
        node.refused = Some(refused);
        if let Some(round) = node.rounds.first_mut().and_then(Option::as_mut) {
            round.long.served.accepted += 7;
            round.long.told.succeeded += 2;
        }
        let mut k6 = row(Peer::K6, "", &[]);
        k6.version = None;
        k6.missing = Some("not to be had".to_owned());
        insta::assert_snapshot!(report(vec![floor, pairstorm, node, tsung, k6]).text());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let floor = row(Peer::Floor, "", &[10.0, 100.0, 1_000.0]);
        let other = row(Peer::NodeWs, "", &[20.0, 300.0, 5_000.0]);
        let ratio = other.ratio_to(Some(&floor)).unwrap();
        assert!((ratio - 3.0).abs() < 1e-6, "{ratio}");
        assert_eq!(other.ratio_to(None), None);
    }

    #[test]
    fn a_refusal_that_is_taken_for_success_shows() {
        let mut row = row(Peer::Locust, "", &[]);
        assert_eq!(row.refusal(), "not tried");
        row.refused = Some(run(9, 1.0, 1.0));
        assert_eq!(row.refusal(), "taken for 9 successes");
    }
}
