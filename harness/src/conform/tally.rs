//! What a set of replayed cases amounts to: agreement by release and field, and every difference on a line.

use std::collections::BTreeMap;

use serde::Serialize;

use super::replay::Replayed;
use super::run::matches;

/// Agreement, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Compared and equal.
    pub agree: usize,
    /// Compared.
    pub of: usize,
}

impl Count {
    fn add(&mut self, agrees: bool) {
        self.of += 1;
        self.agree += usize::from(agrees);
    }
}

/// A difference that is known, and why it is there: `case | step | field | reason`, patterns with `*` and `?` but for the
/// reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Pattern of the case.
    pub case: String,
    /// Pattern of the step.
    pub step: String,
    /// Pattern of the field.
    pub field: String,
    /// Why.
    pub reason: String,
}

/// Reads a list of exceptions: one a line, `#` begins a comment.
///
/// # Errors
/// The number of a line that is none.
pub fn exceptions(text: &str) -> Result<Vec<Exception>, usize> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut parts = line.splitn(4, " | ").map(|part| part.trim().to_owned());
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(case), Some(step), Some(field), Some(reason)) if !reason.is_empty() => {
                found.push(Exception { case, step, field, reason });
            }
            _ => return Err(number + 1),
        }
    }
    Ok(found)
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Why it is known, where an exception names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// Case.
    pub case: String,
    /// Line of the recording on which the step begins.
    pub line: usize,
    /// Step.
    pub step: String,
    /// Field.
    pub field: String,
    /// What was recorded.
    pub recorded: String,
    /// What came.
    pub got: String,
}

/// Something that was not replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Case.
    pub case: String,
    /// Line of the recording, 0 = the whole case.
    pub line: usize,
    /// What it is.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// Figures of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Cases of which at least one step was compared.
    pub cases: Count,
    /// Steps.
    pub steps: Count,
    /// Fields.
    pub fields: Count,
    /// Steps of which two outcomes are possible: that it was one of them. In no other count.
    pub races: Count,
    /// Steps and cases that were not replayed.
    pub not_replayed: usize,
    /// List entries of devices from before the recorded session.
    pub foreign_entries: usize,
    /// Events that are no part of the handshake.
    pub events_not_compared: usize,
}

/// The whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// By release.
    pub releases: BTreeMap<String, Release>,
    /// By case: steps.
    pub cases: BTreeMap<String, Count>,
    /// By field, list positions left out.
    pub fields: BTreeMap<String, Count>,
    /// Every difference.
    pub differences: Vec<Difference>,
    /// Everything that was not replayed.
    pub not_replayed: Vec<Left>,
    /// Exceptions for cases that were compared, of which nothing differed: `case | step | field`.
    pub unused_exceptions: Vec<String>,
}

impl Tally {
    /// Counts replayed cases.
    #[must_use]
    pub fn of(replayed: &[Replayed]) -> Self {
        let mut tally = Self::default();
        for case in replayed {
            tally.case(case);
        }
        tally
    }

    /// Marks the differences that the exceptions name. They stay differences in every count.
    ///
    /// An exception of a case that was compared, but did not differ so, is unused: it hides what may come.
    pub fn excuse(&mut self, exceptions: &[Exception]) {
        let mut used = vec![false; exceptions.len()];
        for difference in &mut self.differences {
            for (exception, used) in exceptions.iter().zip(&mut used) {
                if matches(&exception.case, &difference.case)
                    && matches(&exception.step, &difference.step)
                    && matches(&exception.field, &difference.field)
                {
                    *used = true;
                    difference.known.get_or_insert_with(|| exception.reason.clone());
                }
            }
        }
        let compared = |exception: &Exception| {
            self.cases.iter().any(|(case, count)| count.of > 0 && matches(&exception.case, case))
        };
        self.unused_exceptions = exceptions
            .iter()
            .zip(used)
            .filter(|(exception, used)| !used && compared(exception))
            .map(|(exception, _)| format!("{} | {} | {}", exception.case, exception.step, exception.field))
            .collect();
    }

    /// Whether nothing differs but what is known, and all that is known differs.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differences.iter().all(|difference| difference.known.is_some())
            && self.unused_exceptions.is_empty()
    }

    /// Fields compared.
    #[must_use]
    pub fn compared(&self) -> usize {
        self.releases.values().map(|release| release.fields.of).sum()
    }

    fn case(&mut self, case: &Replayed) {
        let release = self.releases.entry(case.release.clone()).or_default();
        let mut case_count = Count::default();
        for step in &case.steps {
            let mut agrees = true;
            for compared in &step.compared {
                let same = compared.difference.is_none();
                agrees &= same;
                if !step.race {
                    release.fields.add(same);
                    self.fields.entry(without_places(&compared.field)).or_default().add(same);
                }
                if let Some((recorded, got)) = &compared.difference {
                    self.differences.push(Difference {
                        known: None,
                        case: case.name.clone(),
                        line: step.line,
                        step: step.name.clone(),
                        field: compared.field.clone(),
                        recorded: recorded.clone(),
                        got: got.clone(),
                    });
                }
            }
            if step.race {
                release.races.add(agrees);
                continue;
            }
            case_count.add(agrees);
            release.steps.add(agrees);
        }
        if case_count.of > 0 {
            release.cases.add(case_count.agree == case_count.of);
        }
        release.not_replayed += case.not_replayed.len();
        release.foreign_entries += case.foreign;
        release.events_not_compared += case.events_not_compared;
        self.not_replayed.extend(case.not_replayed.iter().map(|left| Left {
            case: case.name.clone(),
            line: left.line,
            what: left.what.clone(),
            reason: left.reason.as_str().to_owned(),
        }));
        self.cases.insert(case.name.clone(), case_count);
    }
}

fn without_places(field: &str) -> String {
    let mut name = String::with_capacity(field.len());
    let mut inside = false;
    for character in field.chars() {
        match character {
            '[' => {
                inside = true;
                name.push('[');
            }
            ']' => {
                inside = false;
                name.push(']');
            }
            '0'..='9' if inside => {}
            other => name.push(other),
        }
    }
    name
}

/// The report as text: every difference on a line, what was not replayed, and the totals.
#[must_use]
pub fn text(tally: &Tally) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let show = |value: &str| value.replace('\n', "\\n");
    // Writing to a String cannot fail.
    for d in &tally.differences {
        let _ = writeln!(
            text,
            "{}  {}:{}  {}  {}: recorded {} | got {}{}",
            if d.known.is_some() { "known  " } else { "differs" },
            d.case,
            d.line,
            d.step,
            d.field,
            show(&d.recorded),
            show(&d.got),
            d.known.as_ref().map(|reason| format!(" | {reason}")).unwrap_or_default()
        );
    }
    for unused in &tally.unused_exceptions {
        let _ = writeln!(text, "unused exception  {}", show(unused));
    }
    if !tally.not_replayed.is_empty() {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for left in &tally.not_replayed {
            *reasons.entry(&left.reason).or_default() += 1;
        }
        let _ = writeln!(text, "\nNot replayed, and not counted");
        for (reason, count) in reasons {
            let _ = writeln!(text, "  {count:>5}  {reason}");
        }
        for left in &tally.not_replayed {
            let _ =
                writeln!(text, "  {}:{}  {}: {}", left.case, left.line, show(&cut(&left.what)), left.reason);
        }
    }
    let _ = writeln!(text, "\nAgreement by field");
    for (field, count) in &tally.fields {
        let mark = if count.agree == count.of { " " } else { "!" };
        let _ = writeln!(text, " {mark} {field:<60} {:>6} of {:>6}", count.agree, count.of);
    }
    let _ = writeln!(text, "\nAgreement by case (steps)");
    for (case, count) in &tally.cases {
        let mark = if count.agree == count.of { " " } else { "!" };
        let _ = writeln!(text, " {mark} {case:<60} {:>6} of {:>6}", count.agree, count.of);
    }
    let _ = writeln!(
        text,
        "\nRelease            cases           steps             fields    races   not replayed   entries of others   other events"
    );
    for (name, r) in &tally.releases {
        let _ = writeln!(
            text,
            "{name:<12} {:>4} of {:>4}   {:>5} of {:>5}   {:>6} of {:>6}   {:>1} of {:>1}   {:>12}   {:>17}   {:>12}",
            r.cases.agree,
            r.cases.of,
            r.steps.agree,
            r.steps.of,
            r.fields.agree,
            r.fields.of,
            r.races.agree,
            r.races.of,
            r.not_replayed,
            r.foreign_entries,
            r.events_not_compared
        );
    }
    text
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::super::compare::Compared;
    use super::super::replay::StepResult;
    use super::*;

    fn replayed() -> Replayed {
        let compared = |field: &str, differs: bool| Compared {
            field: field.to_owned(),
            difference: differs.then(|| ("a".to_owned(), "b".to_owned())),
        };
        Replayed {
            name: "v/c".to_owned(),
            release: "v".to_owned(),
            steps: vec![
                StepResult {
                    name: "one".to_owned(),
                    line: 1,
                    compared: vec![compared("error.code", false), compared("list[3].x", true)],
                    race: false,
                },
                StepResult {
                    name: "two".to_owned(),
                    line: 9,
                    compared: vec![compared("error.code", false)],
                    race: false,
                },
            ],
            ..Replayed::default()
        }
    }

    #[test]
    fn a_step_agrees_when_all_its_fields_do() {
        let tally = Tally::of(&[replayed()]);
        assert_eq!(tally.releases["v"].steps, Count { agree: 1, of: 2 });
        assert_eq!(tally.releases["v"].fields, Count { agree: 2, of: 3 });
        assert_eq!(tally.fields["list[].x"], Count { agree: 0, of: 1 });
        assert!(!tally.agrees());
        assert!(text(&tally).starts_with("differs  v/c:1  one  list[3].x: recorded a | got b\n"));
    }

    #[test]
    fn an_exception_excuses_what_it_names_and_counts_nothing_as_agreement() {
        let mut tally = Tally::of(&[replayed()]);
        tally.excuse(&exceptions("# words\nv/* | * | other* | no").unwrap());
        assert!(!tally.agrees());
        tally.excuse(&exceptions("v/* | one | list* | because").unwrap());
        assert!(tally.agrees());
        assert_eq!(tally.releases["v"].fields, Count { agree: 2, of: 3 });
        assert_eq!(exceptions("\nv/* | list* | because"), Err(2));
        tally.excuse(&exceptions("v/* | two | list* | because").unwrap());
        assert!(!tally.agrees(), "another step's");
    }

    #[test]
    fn an_exception_that_nothing_needs_fails_the_run() {
        let mut tally = Tally::of(&[replayed()]);
        tally.excuse(&exceptions("v/c | one | list* | because\nv/c | two | x | gone").unwrap());
        assert_eq!(tally.unused_exceptions, ["v/c | two | x"]);
        assert!(!tally.agrees());
        assert!(text(&tally).contains("unused exception  v/c | two | x\n"));
        tally.excuse(&exceptions("v/c | one | list* | because\nv/d | two | x | not run").unwrap());
        assert!(tally.agrees(), "of a case that was not run nothing is known");
    }
}
