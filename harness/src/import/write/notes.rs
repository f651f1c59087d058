//! What the log does not say, or cannot be done: the comments at the scenario's start.

use super::super::cohorts::{Cohort, Grouped};
use super::super::rebuilt::Rebuilt;
use super::super::why::Why;

/// A sentence for each thing that applies.
pub(super) fn notes(rebuilt: &Rebuilt, grouped: &Grouped, faster: f64) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |applies: bool, text: String| {
        if applies {
            notes.push(text);
        }
    };
    let any = |test: &dyn Fn(&Cohort) -> bool| grouped.cohorts.iter().any(test);
    let aside = grouped.aside;
    note(
        true,
        "A gateway's log does not name clients that were known and let in (but for browsers), so those may be missing.".to_owned(),
    );
    note(
        any(&|cohort| cohort.like.approved),
        "Whoever is not refused after an approval is taken to have come in.".to_owned(),
    );
    note(
        faster > 1.0,
        format!(
            "The log is told {faster:.0} times faster: `time_scale` shortens pauses, thinking and the life of requests alike."
        ),
    );
    note(rebuilt.coarse, "Its times have no date and whole seconds.".to_owned());
    note(any(&|cohort| cohort.like.why == Some(Why::Unsaid)), "The short console form of 2026.2 does not say why it refused with 1008; where no `unauthorized` or `security audit` line stands beside, `not-paired` is meant here. The log file says it.".to_owned());
    note(
        any(&|cohort| !cohort.like.named),
        "Where a line does not name the client, a persona stands in that fits its role and headers."
            .to_owned(),
    );
    note(
        any(&|cohort| cohort.guessed),
        "The log does not tie an approval to an address: it is given to the client whose refusals end there."
            .to_owned(),
    );
    note(
        rebuilt.unlinked > 0,
        format!("{} approvals are of devices that were not refused in this log; left out.", rebuilt.unlinked),
    );
    note(
        aside.left > 0,
        format!(
            "{} connections ended before they asked (health checks, ports tried, clients that gave up); left out.",
            aside.left
        ),
    );
    note(
        aside.restarting > 0,
        format!(
            "{} connects came while the gateway was starting or stopping; what meets a restart here is chance.",
            aside.restarting
        ),
    );
    note(
        aside.changed > 0,
        format!(
            "{} removals, rejections, rotations and revocations are left out; who was refused after one is a client of its own here.",
            aside.changed
        ),
    );
    note(
        aside.other > 0,
        format!("{} refusals have a cause that no client here can bring about; left out.", aside.other),
    );
    note(
        grouped.cohorts.iter().flat_map(|cohort| &cohort.members).any(|member| member.part.number > 0),
        "A client that was refused for one reason after another is several clients here, each stored as it was by then.".to_owned(),
    );
    note(
        grouped.cohorts.iter().flat_map(|cohort| &cohort.members).any(|member| member.part.after_restart),
        "A client that was refused before and after a restart is two clients here.".to_owned(),
    );
    note(!grouped.exact, "There are more kinds of clients than a scenario is readable with, so that those of a cohort did only roughly the same.".to_owned());
    note(
        rebuilt.beyond > 0,
        format!("{} more connections are beyond what is kept of one log; left out.", rebuilt.beyond),
    );
    note(rebuilt.lines.broken > 0, format!("{} lines of the log are broken.", rebuilt.lines.broken));
    notes
}
