//! Loops: the same client, refused again and again, for the same cause or for causes that take turns.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::{Attempt, ClientEvidence};
use crate::vocabulary::Nanos;

/// So many attempts in a row without a session are a loop. Two are somebody who tried once more.
pub const LOOP_ATTEMPTS: usize = 3;

/// A row of attempts of one client without a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loop {
    /// Position of its first attempt among those of the client.
    pub first: usize,
    /// Position of its last.
    pub last: usize,
    /// Attempts in it whose end is known, with those that the evidence leaves out.
    pub attempts: u64,
    /// Request ids that were told in it.
    pub request_ids: u64,
    /// What they were answered, each once.
    pub classes: BTreeSet<String>,
    /// From its first attempt to its last.
    pub took: Nanos,
    /// It ended with a session.
    pub over: bool,
}

/// How much work a loop makes, a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gain {
    /// Attempts.
    pub attempts: f64,
    /// Request ids that were minted beside the first.
    pub request_ids: f64,
}

/// What the gateway writes while clients loop, whoever it writes of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogGain {
    /// Lines of its log between the first and the last attempt of all loops.
    pub lines: u64,
    /// The same, a minute.
    pub a_minute: f64,
}

impl Loop {
    /// Whether it is long enough to be one.
    #[must_use]
    pub const fn is_loop(&self) -> bool {
        self.attempts >= LOOP_ATTEMPTS as u64
    }

    /// Its gain, from what it did between its first and last attempt.
    #[must_use]
    pub fn gain(&self) -> Gain {
        let a_minute = |count: u64| a_minute(count, self.took);
        Gain {
            attempts: a_minute(self.attempts.saturating_sub(1)),
            request_ids: a_minute(self.request_ids.saturating_sub(1)),
        }
    }
}

/// So many in a time, as a rate a minute; 0 where no time passed.
#[must_use]
pub fn a_minute(count: u64, took: Nanos) -> f64 {
    if took == 0 { 0.0 } else { count as f64 * 60e9 / took as f64 }
}

/// The rows of attempts without a session, in order, however short. An attempt whose end nobody knows is in none.
#[must_use]
pub fn rows(client: &ClientEvidence) -> Vec<Loop> {
    let mut rows = Vec::new();
    let mut row: Option<Row<'_>> = None;
    for (position, attempt) in client.attempts.iter().enumerate() {
        let Some(class) = attempt.answer.class() else { continue };
        if attempt.answer.is_session() {
            rows.extend(row.take().map(|row| row.end(client, true)));
            continue;
        }
        let row = row.get_or_insert_with(|| Row::new(position, attempt));
        row.add(position, attempt, class);
    }
    rows.extend(row.take().map(|row| row.end(client, false)));
    rows
}

/// The row that a client is in at the end; if it holds a session then, the longest loop that it was in.
#[must_use]
pub fn trouble(client: &ClientEvidence) -> Option<Loop> {
    let mut rows = rows(client);
    if rows.last().is_some_and(|last| !last.over) {
        return rows.pop();
    }
    rows.into_iter().filter(Loop::is_loop).max_by_key(|row| row.attempts)
}

struct Row<'a> {
    first: usize,
    last: usize,
    from: Nanos,
    to: Nanos,
    attempts: u64,
    ids: BTreeSet<&'a str>,
    classes: BTreeSet<String>,
}

impl<'a> Row<'a> {
    const fn new(position: usize, attempt: &Attempt) -> Self {
        Self {
            first: position,
            last: position,
            from: attempt.at,
            to: attempt.at,
            attempts: 0,
            ids: BTreeSet::new(),
            classes: BTreeSet::new(),
        }
    }

    fn add(&mut self, position: usize, attempt: &'a Attempt, class: String) {
        self.last = position;
        self.to = attempt.at;
        self.attempts += 1;
        if let super::evidence::Answer::Refused(refusal) = &attempt.answer {
            self.ids.extend(refusal.request_id.as_deref());
        }
        self.classes.insert(class);
    }

    fn end(self, client: &ClientEvidence, over: bool) -> Loop {
        // What was left out lies in the midst of the list.
        let midst = client.attempts.len() / 2;
        let left_out = if (self.first..=self.last).contains(&midst) { client.left_out } else { 0 };
        Loop {
            first: self.first,
            last: self.last,
            attempts: self.attempts + left_out,
            request_ids: self.ids.len() as u64,
            classes: self.classes,
            took: self.to.saturating_sub(self.from),
            over,
        }
    }
}
