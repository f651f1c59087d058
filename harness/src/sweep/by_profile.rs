//! What differs from one profile to the next, cohort by cohort: what a maintainer wants to see before a release.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::Names;
use super::result::SweepRun;
use crate::record::cohorts::CohortResult;
use crate::record::diagnosis::DiagnosisResult;

/// Answers that a cell names: more often than once in so many attempts.
const NAMED_FROM: u64 = 10;
/// Answers that a cell names at most.
const NAMED_MAX: usize = 3;

/// What the clients of a cohort got in one run, or in several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenCohort {
    /// Name in the scenario.
    pub name: String,
    /// Its clients.
    pub clients: u64,
    /// Of these, clients that held a session at least once.
    pub clients_with_session: u64,
    /// Its attempts by answer: `session`, a refusal as `CODE reason`, or another outcome.
    pub answers: BTreeMap<String, u64>,
    /// Those of its clients that were in trouble, by the cause that the diagnosis found; only of groups that the run's result
    /// lists.
    #[serde(default)]
    pub causes: BTreeMap<String, u64>,
}

impl SeenCohort {
    /// From the result of a run.
    #[must_use]
    pub fn of(cohort: &CohortResult, diagnosis: &DiagnosisResult) -> Self {
        let counts = &cohort.attempts;
        let outcomes = [
            ("session", counts.session),
            ("upgrade_refused", counts.upgrade_refused),
            ("closed", counts.closed),
            ("timed_out", counts.timed_out),
            ("connection_refused", counts.connection_refused),
            ("unreachable", counts.unreachable),
            ("not_a_gateway", counts.not_a_gateway),
            ("dropped", counts.dropped),
        ];
        let others = outcomes
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(word, count)| (word.to_owned(), count));
        let mut causes: BTreeMap<String, u64> = BTreeMap::new();
        for group in diagnosis.groups.iter().filter(|group| group.cohort == cohort.name) {
            *causes.entry(group.diagnosis.cause.as_str().to_owned()).or_default() += group.clients;
        }
        Self {
            name: cohort.name.clone(),
            clients: cohort.clients,
            clients_with_session: cohort.clients_with_session,
            answers: others.chain(cohort.refusals.clone()).collect(),
            causes,
        }
    }

    fn add(&mut self, other: &Self) {
        self.clients += other.clients;
        self.clients_with_session += other.clients_with_session;
        for (answer, count) in &other.answers {
            *self.answers.entry(answer.clone()).or_default() += count;
        }
        for (cause, clients) in &other.causes {
            *self.causes.entry(cause.clone()).or_default() += clients;
        }
    }

    /// The usual answers, the commonest first.
    #[must_use]
    pub fn usual(&self) -> Vec<&str> {
        commonest(&self.answers)
    }

    /// The usual causes of its clients' trouble, the commonest first.
    #[must_use]
    pub fn usual_causes(&self) -> Vec<&str> {
        commonest(&self.causes)
    }

    /// `NOT_PAIRED not-paired; nobody in; not-approved`
    #[must_use]
    pub fn told(&self) -> String {
        let mut told = format!("{}; {}", self.usual().join(", "), self.let_in());
        if !self.causes.is_empty() {
            told.push_str("; ");
            told.push_str(&self.usual_causes().join(", "));
        }
        told
    }

    /// `all in`, `nobody in`, `3 of 8 in`.
    #[must_use]
    pub fn let_in(&self) -> String {
        match self.clients_with_session {
            0 => "nobody in".to_owned(),
            all if all == self.clients => "all in".to_owned(),
            some => format!("{some} of {} in", self.clients),
        }
    }

    /// Whether people would say that the same happened: neither how often an answer came nor how many of those who were
    /// let in is the gateway's alone.
    fn is_like(&self, other: &Self) -> bool {
        let sorted = |mut usual: Vec<&str>| {
            usual.sort_unstable();
            usual.join(" ")
        };
        let class = |seen: &Self| match seen.clients_with_session {
            0 => 0_u8,
            all if all == seen.clients => 2,
            _ => 1,
        };
        class(self) == class(other)
            && sorted(self.usual()) == sorted(other.usual())
            && sorted(self.usual_causes()) == sorted(other.usual_causes())
    }
}

fn commonest(counts: &BTreeMap<String, u64>) -> Vec<&str> {
    let all: u64 = counts.values().sum();
    let mut named: Vec<(&str, u64)> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    named.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    named.retain(|(_, count)| count * NAMED_FROM >= all);
    named.into_iter().take(NAMED_MAX).map(|(name, _)| name).collect()
}

/// The same cohorts under several profiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ByProfile {
    /// What the columns are: a profile each, with the gateway where it is not the in-repo one; in the order of the runs.
    pub columns: Vec<String>,
    /// A row for every cohort under every combination of the other values.
    pub rows: Vec<ProfileRow>,
}

/// One cohort under several profiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileRow {
    /// The values that do not belong to the profile.
    pub names: Names,
    /// The cohort.
    pub cohort: String,
    /// What it got, by column; `null` = no run counted, or the cohort was not there.
    pub cells: Vec<Option<SeenCohort>>,
    /// Whether it got something else in one of the columns.
    pub differs: bool,
}

/// Puts the runs that count side by side. `None` if they are of one profile.
#[must_use]
pub fn by_profile(runs: &[SweepRun]) -> Option<ByProfile> {
    let counted = || runs.iter().filter(|run| run.counts() && !run.cohorts.is_empty());
    let mut columns: Vec<String> = Vec::new();
    for run in counted() {
        let column = column(run);
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    if columns.len() < 2 {
        return None;
    }
    let belongs = |name: &str| {
        // One value a column: the variable that chooses the profile, and what goes with it.
        columns.iter().all(|of| {
            let mut values = counted().filter(|run| column(run) == *of).map(|run| run.names.get(name));
            let first = values.next().flatten();
            values.all(|value| value == first)
        })
    };
    let mut rows: Vec<ProfileRow> = Vec::new();
    for run in counted() {
        let names = Names(run.names.0.iter().filter(|(name, _)| !belongs(name)).cloned().collect());
        let Some(position) = columns.iter().position(|of| *of == column(run)) else { continue };
        for cohort in &run.cohorts {
            let known = rows.iter().position(|row| row.cohort == cohort.name && row.names == names);
            let at = known.unwrap_or(rows.len());
            if known.is_none() {
                let cells = vec![None; columns.len()];
                rows.push(ProfileRow {
                    names: names.clone(),
                    cohort: cohort.name.clone(),
                    cells,
                    differs: false,
                });
            }
            let cell = rows.get_mut(at).and_then(|row| row.cells.get_mut(position));
            match cell {
                Some(Some(seen)) => seen.add(cohort),
                Some(empty) => *empty = Some(cohort.clone()),
                None => {}
            }
        }
    }
    for row in &mut rows {
        let mut seen = row.cells.iter().flatten();
        let first = seen.next();
        row.differs = first.is_some_and(|first| seen.any(|other| !first.is_like(other)));
    }
    Some(ByProfile { columns, rows })
}

fn column(run: &SweepRun) -> String {
    let profile = run.profile.as_deref().unwrap_or("-");
    match run.target.as_deref() {
        None | Some("in-repo gateway") => profile.to_owned(),
        Some(other) => format!("{profile} ({other})"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::exit_code::RunVerdict;

    fn seen(name: &str, clients: u64, with_session: u64, answers: &[(&str, u64)]) -> SeenCohort {
        SeenCohort {
            name: name.to_owned(),
            clients,
            clients_with_session: with_session,
            answers: answers.iter().map(|(answer, count)| ((*answer).to_owned(), *count)).collect(),
            causes: BTreeMap::new(),
        }
    }

    fn run(profile: &str, size: u64, verdict: RunVerdict, cohorts: Vec<SeenCohort>) -> SweepRun {
        let none = crate::sweep::result::Ended::None {
            why: String::new(),
            exit: crate::record::exit_code::ExitCode::Pass,
        };
        SweepRun {
            names: Names(vec![("release".to_owned(), json!(profile)), ("size".to_owned(), json!(size))]),
            verdict: Some(verdict),
            profile: Some(profile.to_owned()),
            target: Some("in-repo gateway".to_owned()),
            cohorts,
            ..SweepRun::new(&none)
        }
    }

    #[test]
    fn a_cell_names_what_is_usual() {
        let one = seen("c", 4, 3, &[("session", 3), ("NOT_PAIRED not-paired", 40), ("closed", 1)]);
        // Three sessions and a close among 44 are no usual answer.
        assert_eq!((one.usual(), one.let_in().as_str()), (vec!["NOT_PAIRED not-paired"], "3 of 4 in"));
        assert_eq!(seen("c", 4, 4, &[]).let_in(), "all in");
        assert_eq!(seen("c", 4, 0, &[("a", 5), ("b", 5), ("session", 9)]).usual(), ["session", "a", "b"]);
    }

    #[test]
    fn cohorts_stand_side_by_side_by_profile_and_say_whether_they_differ() {
        let pass = RunVerdict::Pass;
        let cohorts = |refused: u64| {
            vec![
                seen("same", 2, 2, &[("session", 2), ("NOT_PAIRED not-paired", 9 + refused)]),
                seen("ladder", 2, if refused == 0 { 2 } else { 0 }, &[("session", 2), ("x", 9 * refused)]),
            ]
        };
        let runs = [
            run("article", 10, pass, cohorts(0)),
            run("article", 20, pass, cohorts(0)),
            run("2026.9.6", 10, RunVerdict::Violated, cohorts(1)),
            run("2026.9.6", 20, pass, cohorts(0)),
            run("2026.9.6", 10, RunVerdict::Invalid, vec![seen("ghost", 1, 0, &[])]),
        ];
        let table = by_profile(&runs).unwrap();
        assert_eq!(table.columns, ["article", "2026.9.6"]);
        let rows: Vec<_> = table
            .rows
            .iter()
            .map(|row| (row.cohort.as_str(), row.names.get("size").unwrap().as_u64(), row.differs))
            .collect();
        assert_eq!(
            rows,
            [
                ("same", Some(10), false),
                ("ladder", Some(10), true),
                ("same", Some(20), false),
                ("ladder", Some(20), false),
            ]
        );
        // The size chooses nothing: `release`, which the profile comes with, is no name of a row.
        assert!(table.rows.iter().all(|row| row.names.get("release").is_none()));
        assert_eq!(by_profile(&runs[..2]), None);
    }

    #[test]
    fn a_cause_of_its_own_is_a_difference() {
        let locked = || seen("c", 2, 0, &[("AUTH_RATE_LIMITED", 9)]);
        let because = |cause: &str| SeenCohort { causes: [(cause.to_owned(), 2)].into(), ..locked() };
        let table = |of: [SeenCohort; 2]| {
            let [one, other] = of;
            let pass = RunVerdict::Pass;
            by_profile(&[run("article", 1, pass, vec![one]), run("2026.9.6", 1, pass, vec![other])]).unwrap()
        };
        let differs = table([because("token-drift"), because("rate-limited-neighbour")]);
        assert!(differs.rows[0].differs);
        let told = differs.rows[0].cells[1].as_ref().unwrap().told();
        assert_eq!(told, "AUTH_RATE_LIMITED; nobody in; rate-limited-neighbour");
        assert!(!table([because("token-drift"), because("token-drift")]).rows[0].differs);
    }

    #[test]
    fn repeats_are_added_and_a_missing_cohort_has_no_cell() {
        let pass = RunVerdict::Pass;
        let one = || seen("c", 2, 1, &[("session", 1), ("x", 1)]);
        let runs = [
            run("article", 1, pass, vec![one()]),
            run("article", 1, pass, vec![one()]),
            run("2026.9.6", 1, pass, vec![seen("other", 1, 1, &[("session", 1)])]),
        ];
        let table = by_profile(&runs).unwrap();
        let cell = table.rows[0].cells[0].as_ref().unwrap();
        assert_eq!((cell.clients, cell.answers["x"], &table.rows[0].cells[1]), (4, 2, &None));
        assert!(!table.rows[0].differs);
    }
}
