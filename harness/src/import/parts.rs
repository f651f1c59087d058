//! What a client did, cut into parts that a cohort can do: refused so often for one reason, then approved, then in.

use super::rebuilt::{Client, Event, Restart, What};
use super::why::Why;

/// A stretch of a client's story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Why it was refused; `None` = it was not.
    pub(super) why: Option<Why>,
    /// How often.
    pub(super) refusals: u32,
    /// First moment, milliseconds since 1970.
    pub(super) first: i64,
    /// Last refusal or session.
    pub(super) last: i64,
    /// What the gateway took over all refusals but the first, milliseconds.
    took: i64,
    /// When an operator approved it.
    pub(super) approved: Option<i64>,
    /// The gateway let it in without asking anybody.
    pub(super) silent: bool,
    /// Sessions that the log shows.
    pub(super) sessions: u32,
    /// The longest that one lasted, milliseconds.
    pub(super) held: Option<i64>,
    /// The client was approved, or silently paired, before.
    pub(super) known: bool,
    /// Which part of its client it is, from 0.
    pub(super) number: u32,
    /// It goes on where a restart cut the part before it.
    pub(super) after_restart: bool,
}

/// Events that no cohort can do, of all clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Aside {
    /// Connections that ended before they asked.
    pub(super) left: u64,
    /// Refusals because the gateway was starting or stopping.
    pub(super) restarting: u64,
    /// Removals, rejections, rotations and revocations.
    pub(super) changed: u64,
    /// Causes that nothing here can bring about.
    pub(super) other: u64,
}

/// The parts of a client.
pub(super) fn parts(client: &Client, restarts: &[Restart], aside: &mut Aside) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut open: Option<Part> = None;
    let mut known = false;
    let begin = |event: &Event, why: Option<Why>, known: bool, number: usize| Part {
        why,
        refusals: 0,
        first: event.at - i64::from(event.took),
        last: event.at,
        took: 0,
        approved: None,
        silent: false,
        sessions: 0,
        held: None,
        known,
        number: u32::try_from(number).unwrap_or(u32::MAX),
        after_restart: false,
    };
    for event in &client.events {
        match event.what {
            What::Refused(Why::Left) => aside.left += 1,
            What::Refused(Why::Restarting) => aside.restarting += 1,
            What::Refused(Why::Other | Why::Build) => aside.other += 1,
            What::Refused(why) => {
                let cut = open.as_ref().is_some_and(|part| restarted(restarts, part.last, event.at));
                let goes_on = open.as_ref().is_some_and(|part| part.goes_on(why));
                if cut || !goes_on {
                    let after_restart = cut && goes_on;
                    parts.extend(open.take());
                    open = Some(Part { after_restart, ..begin(event, Some(why), known, parts.len()) });
                }
                if let Some(part) = &mut open {
                    // The first wrong credentials are why; that an address is locked out follows from them.
                    part.took += if part.refusals == 0 { 0 } else { i64::from(event.took) };
                    part.refusals = part.refusals.saturating_add(1);
                    part.last = event.at;
                }
            }
            What::Approved { silent: false } => {
                if let Some(part) = open.as_mut().filter(|part| part.waits()) {
                    part.approved = Some(event.at);
                }
                known = true;
            }
            What::Approved { silent: true } => {
                parts.extend(open.take());
                open = Some(Part { silent: true, ..begin(event, None, known, parts.len()) });
                known = true;
            }
            What::Session => {
                let lets_in = open.as_ref().is_some_and(|part| part.why.is_none() || part.approved.is_some());
                if !lets_in {
                    parts.extend(open.take());
                    open = Some(begin(event, None, true, parts.len()));
                }
                if let Some(part) = &mut open {
                    part.sessions = part.sessions.saturating_add(1);
                    part.last = event.at;
                }
                known = true;
            }
            What::Left(held) => {
                if let Some(part) = &mut open {
                    part.held = Some(part.held.unwrap_or(0).max(held));
                }
            }
            What::Changed(_) => {
                aside.changed += 1;
                parts.extend(open.take());
            }
        }
    }
    parts.extend(open);
    parts
}

impl Part {
    /// Whether a refusal for `why` belongs to this part.
    fn goes_on(&self, why: Why) -> bool {
        let same =
            self.why == Some(why) || (why == Why::RateLimited && self.why.is_some_and(Why::is_credential));
        same && self.approved.is_none() && self.sessions == 0
    }

    /// Whether an approval may end it.
    fn waits(&self) -> bool {
        self.why.is_some_and(Why::is_pairing) && self.approved.is_none() && self.sessions == 0
    }

    /// From the first refusal to the approval, milliseconds.
    pub(super) fn delay(&self) -> Option<i64> {
        self.approved.map(|at| (at - self.first).max(1))
    }

    /// From one refusal to the next attempt on average, milliseconds; `None` for a single one.
    pub(super) fn pause(&self) -> Option<i64> {
        let gaps = i64::from(self.refusals.checked_sub(1)?);
        (gaps > 0).then(|| ((self.last - self.first - self.took) / gaps.max(1)).max(0))
    }
}

/// Whether the gateway restarted between two moments.
fn restarted(restarts: &[Restart], from: i64, until: i64) -> bool {
    restarts.iter().any(|restart| (from..=until).contains(&restart.at))
}
