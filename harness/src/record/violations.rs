//! `violations.jsonl`: one line a listed mismatch, with everything that is known of the device.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::histogram::micros;
use super::listing::Listing;
use super::redact::Redactor;
use crate::observation::{Direction, Observation, TranscriptLine};
use crate::plan::ClientId;

/// One line of what a client saw and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TranscriptEntry {
    /// When, µs since the run's start.
    pub at_us: u64,
    /// `in` from the gateway, `out` to it, `note` a remark of the harness.
    pub direction: String,
    /// The frame or the remark.
    pub text: String,
}

/// The transcript of one attempt, if the run kept it.
pub type Transcripts<'a> = dyn Fn(ClientId, u32) -> Option<Vec<TranscriptLine>> + 'a;

/// One line of `violations.jsonl`. Times are microseconds since the run's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// `cohort/index`.
    pub client: String,
    /// Attempt of that client, counted from 0.
    pub attempt: u32,
    /// Kind of mismatch.
    pub kind: String,
    /// Classes of the allowed outcomes.
    pub expected: Vec<String>,
    /// Class of the outcome that was seen.
    pub observed: String,
    /// The deciding fact.
    pub why: String,
    /// When things happened in this attempt.
    pub times: AttemptTimes,
    /// What happened to the device, in order, in words.
    pub history: Vec<HistoryLine>,
    /// Events of the device that were left out of `history`; `null` = all of them, because this is one of very many
    /// violations.
    pub history_left_out: Option<u64>,
    /// What the client saw and sent in this attempt; `null` = not kept.
    pub transcript: Option<Vec<TranscriptEntry>>,
}

/// Stamps of an attempt, µs since the run's start; `null` = never reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptTimes {
    /// When it was to start.
    pub intended_us: Option<u64>,
    /// It started.
    pub started_us: Option<u64>,
    /// TCP connected.
    pub dialled_us: Option<u64>,
    /// 101 received.
    pub upgraded_us: Option<u64>,
    /// Challenge received.
    pub challenged_us: Option<u64>,
    /// `connect` sent.
    pub sent_us: Option<u64>,
    /// Answer received.
    pub answered_us: Option<u64>,
    /// Close or end of the session.
    pub ended_us: Option<u64>,
}

/// One event of a device's history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct HistoryLine {
    /// When it began, µs since the run's start.
    pub at_us: u64,
    /// What happened.
    pub what: String,
}

impl AttemptTimes {
    /// The stamps of an attempt.
    #[must_use]
    pub fn of(attempt: &Observation) -> Self {
        let stamps = &attempt.stamps;
        Self {
            intended_us: Some(micros(attempt.intended)),
            started_us: stamps.started.map(micros),
            dialled_us: stamps.dialled.map(micros),
            upgraded_us: stamps.upgraded.map(micros),
            challenged_us: stamps.challenged.map(micros),
            sent_us: stamps.sent.map(micros),
            answered_us: stamps.answered.map(micros),
            ended_us: stamps.ended.map(micros),
        }
    }
}

/// The listed violations of a run, with their transcripts and without secrets; each is made ready when it is written.
pub struct Violations<'a> {
    listing: &'a Listing,
    transcripts: &'a Transcripts<'a>,
    redactor: Redactor,
}

impl std::fmt::Debug for Violations<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Violations").field("redactor", &self.redactor).finish_non_exhaustive()
    }
}

impl<'a> Violations<'a> {
    /// The violations of this listing. `secrets` are taken out of everything that came from outside.
    #[must_use]
    pub fn new(listing: &'a Listing, transcripts: &'a Transcripts<'a>, secrets: &[String]) -> Self {
        Self { listing, transcripts, redactor: Redactor::new(secrets.iter().cloned()) }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.listing.is_empty()
    }

    /// What takes the secrets of this run out of texts.
    #[must_use]
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Writes a line of JSON each, in the order of time, and gives their number.
    ///
    /// # Errors
    /// If `to` refuses, or a line cannot be encoded.
    pub fn write(&self, to: &mut impl Write) -> io::Result<u64> {
        let mut written = 0;
        for kept in self.listing.kept() {
            let mut violation = kept.violation.clone();
            if kept.is_detailed() {
                let (client, attempt) = kept.client_and_attempt();
                violation.transcript = (self.transcripts)(client, attempt)
                    .map(|lines| lines.into_iter().map(TranscriptEntry::from).collect());
            }
            serde_json::to_writer(&mut *to, &clean(violation, &self.redactor)).map_err(io::Error::other)?;
            to.write_all(b"\n")?;
            written += 1;
        }
        Ok(written)
    }
}

impl From<TranscriptLine> for TranscriptEntry {
    fn from(line: TranscriptLine) -> Self {
        let direction = match line.direction {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::Note => "note",
        };
        Self { at_us: micros(line.at), direction: direction.to_owned(), text: line.text }
    }
}

/// The fields that hold text from outside, redacted. Names of the plan stay.
fn clean(mut violation: Violation, redactor: &Redactor) -> Violation {
    let texts = std::iter::once(&mut violation.observed)
        .chain(std::iter::once(&mut violation.why))
        .chain(violation.expected.iter_mut())
        .chain(violation.history.iter_mut().map(|line| &mut line.what))
        .chain(violation.transcript.iter_mut().flatten().map(|line| &mut line.text));
    for text in texts {
        *text = redactor.text(text);
    }
    violation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::RestartStamps;
    use crate::observation::Outcome;
    use crate::oracle::MismatchKind;
    use crate::record::device_history::EVENTS_MAX;
    use crate::record::test_support::{MS, Story, mismatch, refusal_for, session};

    const SECRET: &str = "kJ3-9dQw4w9WgXcQ_8sT2uVbN5mLpO7iUyTrEwQaSdF";

    fn lines(story: &Story, transcripts: &Transcripts<'_>) -> Vec<Violation> {
        let mut out = Vec::new();
        let tally = story.tally();
        let violations = Violations::new(tally.listing(), transcripts, &[SECRET.to_owned()]);
        let written = violations.write(&mut out).expect("written");
        assert_eq!(violations.is_empty(), written == 0);
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.is_empty() || text.ends_with('\n'));
        assert!(!text.contains(SECRET));
        let read: Vec<Violation> =
            text.lines().map(|line| serde_json::from_str(line).expect("a violation")).collect();
        assert_eq!(read.len() as u64, written);
        read
    }

    fn approved_and_refused() -> Story {
        let mut story = Story::new(&[("phones", 20)]);
        story.attempt(17, 0).started(90).answered(100, refusal_for("r1"));
        story.notice(0, 17, "r1", 104);
        story.approve(0, 17, "r1", 500, Some(512));
        story.attempt(17, 1).started(1_000).answered(1_004, session());
        story.session_ended_by_gateway(17, 1, 2_001);
        story.restart(2_000, RestartStamps { port_open: Some(2_300 * MS), ..RestartStamps::default() });
        story.attempt(17, 2).intended(2_500).started(2_501).answered(2_505, refusal_for("r2")).verdict(
            mismatch(
                MismatchKind::FalseReject,
                &["session"],
                "not-paired",
                "approval of request r1 was acknowledged at 0.512 s and lost by the restart at 2.000 s",
            ),
        );
        // Another device's history is none of this one's.
        story.approve(0, 3, "r9", 700, Some(710));
        story
    }

    #[test]
    fn a_violation_tells_the_whole_story_of_its_device() {
        let violations = lines(&approved_and_refused(), &|_, _| None);
        assert_eq!(violations.len(), 1);
        let violation = &violations[0];
        assert_eq!((violation.client.as_str(), violation.attempt), ("phones/17", 2));
        assert_eq!((violation.kind.as_str(), violation.observed.as_str()), ("false_reject", "not-paired"));
        assert_eq!(violation.times.intended_us, Some(2_500_000));
        assert_eq!(violation.times.answered_us, Some(2_505_000));
        let told: Vec<String> =
            violation.history.iter().map(|line| format!("{} {}", line.at_us, line.what)).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        90000 attempt 0: refused NOT_PAIRED "pairing required", code PAIRING_REQUIRED, reason not-paired, requestId r1; close 1008 "pairing required", after 10.000 ms
        104000 operator `owner` noticed request r1
        500000 operator `owner` approved request r1: acknowledged after 12.000 ms
        1000000 attempt 1: session as operator with token scopes [operator.read], after 4.000 ms
        2000000 fault `update`: restart by SIGKILL, over after 300.000 ms
        2001000 the session of attempt 1 was ended by the gateway: no close frame (1006)
        2501000 attempt 2: refused NOT_PAIRED "pairing required", code PAIRING_REQUIRED, reason not-paired, requestId r2; close 1008 "pairing required", after 4.000 ms
        "#);
        assert_eq!(violation.history_left_out, Some(0));
    }

    #[test]
    fn the_transcript_is_there_and_has_no_secrets() {
        let transcripts = |client: ClientId, attempt: u32| {
            (client == 17 && attempt == 2).then(|| {
                vec![
                    TranscriptLine {
                        at: 1_000,
                        direction: Direction::Note,
                        text: "TCP connected".to_owned(),
                    },
                    TranscriptLine {
                        at: 2_000,
                        direction: Direction::Out,
                        text: format!(r#"{{"auth":{{"token":"other","deviceToken":"{SECRET}"}},"x":1}}"#),
                    },
                    TranscriptLine { at: 3_000, direction: Direction::In, text: format!("bad {SECRET}") },
                ]
            })
        };
        let violations = lines(&approved_and_refused(), &transcripts);
        let texts: Vec<_> =
            violations[0].transcript.iter().flatten().map(|line| line.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "TCP connected",
                r#"{"auth":{"token":"<redacted>","deviceToken":"<redacted>"},"x":1}"#,
                "bad <redacted>"
            ]
        );
    }

    #[test]
    fn a_secret_in_the_peers_words_is_removed() {
        let mut story = Story::new(&[("phones", 1)]);
        let body = format!("your token={SECRET}\nis bad");
        story.attempt(0, 0).ended(5, Outcome::UpgradeRefused { status: 500, body }).verdict(mismatch(
            MismatchKind::NoAnswer,
            &["session"],
            "HTTP 500",
            &format!("it said {SECRET}"),
        ));
        let violations = lines(&story, &|_, _| None);
        assert_eq!(violations[0].why, "it said <redacted>");
        assert!(
            violations[0].history[0].what.contains("token=<redacted> is bad"),
            "{:?}",
            violations[0].history
        );
    }

    #[test]
    fn a_lost_session_is_a_violation_too() {
        let mut story = Story::new(&[("phones", 1)]);
        story.attempt(0, 0).started(10).answered(20, session());
        story.session_lost(0, 0, 90, "nothing was under way at 0.090 s");
        let violations = lines(&story, &|_, _| None);
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].kind, "wrong_close");
        assert_eq!(violations[0].expected, ["session held"]);
        assert_eq!(violations[0].observed, "session ended: 1006");
        assert_eq!(
            (violations[0].times.started_us, violations[0].times.ended_us),
            (Some(10_000), Some(90_000))
        );
        assert_eq!(violations[0].history.len(), 2);
    }

    #[test]
    fn a_loops_history_is_cut_around_the_mismatch() {
        let mut story = Story::new(&[("phones", 1)]);
        for attempt in 0..1_000 {
            let at = u64::from(attempt) * 10;
            let builder = story.attempt(0, attempt).started(at).answered(at + 5, refusal_for("r1"));
            if attempt == 600 {
                builder.verdict(mismatch(MismatchKind::FalseReject, &["session"], "not-paired", ""));
            }
        }
        let violation = lines(&story, &|_, _| None).remove(0);
        assert_eq!(violation.history.len(), EVENTS_MAX);
        assert_eq!(violation.history_left_out, Some(700));
        let has =
            |attempt: u32| violation.history.iter().any(|line| line.at_us == u64::from(attempt) * 10_000);
        assert!(has(0) && has(49) && !has(50));
        assert!(has(600) && has(650) && has(450) && !has(700));
    }

    #[test]
    fn a_run_in_which_everything_is_wrong_does_not_fill_the_disk() {
        let mut story = Story::new(&[("phones", 1_200), ("tabs", 20)]);
        for client in 0..1_220 {
            story.attempt(client, 0).answered(10, session()).verdict(mismatch(
                MismatchKind::FalseAccept,
                &["not-paired"],
                "session",
                "",
            ));
        }
        let violations = lines(&story, &|_, _| None);
        assert_eq!(violations.len(), 1_220);
        let detailed = |cohort: &str| {
            violations.iter().filter(|v| v.client.starts_with(cohort) && v.history_left_out.is_some()).count()
        };
        assert_eq!((detailed("phones/"), detailed("tabs/")), (1_000, 10));
        assert_eq!(violations[1_219].why, "");
        assert_eq!(violations[1_219].observed, "session");
    }
}
