//! A cohort, with its arrivals, its rhythm, what is expected of it, and who approves it.

use std::fmt::Write as _;

use protocol::ProfileName;

use super::super::cohorts::{Cohort, Grouped};
use super::super::likeness::{Page, Route};
use super::super::why::Why;
use super::clock::Clock;
use super::gateway::origin;
use super::toml::{bare, counted, list, quoted, seconds};
use super::{File, is_answered};

/// How much of a pause there is between an approval and the next attempt.
const LATE: f64 = 0.35;
/// Attempts beyond those that the log has, for a client whose approval comes late.
const SPARE_ATTEMPTS: u32 = 5;

/// Writes it, and its list of arrivals.
pub(super) fn write_cohort(
    text: &mut String,
    cohort: &Cohort,
    grouped: &Grouped,
    profile: ProfileName,
    clock: Clock,
    lists: &mut Vec<File>,
) {
    let like = &cohort.like;
    let name = &cohort.name;
    let _ = write!(text, "\n[cohort.{name}]\npersona = \"{}\"\n", like.persona);
    if cohort.members.len() == 1 {
        text.push_str("count   = 1\n");
    }
    let is_browser = matches!(like.persona, "control-ui" | "webchat");
    if let Some(role) = &like.role {
        let _ = writeln!(text, "role    = \"{role}\"");
    }
    if let Some(scopes) = &like.scopes {
        let _ = writeln!(text, "scopes  = {}", list(scopes));
    }
    if let Some(platform) = &like.platform {
        let _ = writeln!(text, "platform = {}", quoted(platform));
    }
    if like.why == Some(Why::MetadataUpgrade) {
        let _ = writeln!(text, "device_family = {}", quoted(like.family.as_deref().unwrap_or("none")));
    }
    if let Some(credential) = credential(cohort, grouped) {
        let _ = writeln!(text, "credential = \"{credential}\"");
    }
    let path = match &like.route {
        Route::Direct => None,
        Route::Trusted => Some("proxy".to_owned()),
        Route::Untrusted => Some("untrusted-proxy".to_owned()),
        Route::ByName => Some("by-name".to_owned()),
        Route::Shared(number) => Some(format!("shared-{number}")),
    };
    if let Some(path) = path {
        let _ = writeln!(text, "path    = \"{path}\"");
    }
    match &like.page {
        Some(Page::Number(number)) => {
            let _ = writeln!(text, "origin  = {}", quoted(&origin(*number)));
        }
        Some(Page::Absent) if is_browser => text.push_str("origin  = \"none\"\n"),
        _ => {}
    }
    text.push_str(&deviation(cohort));
    if let Some(stored) = &like.stored {
        let _ = writeln!(text, "[cohort.{name}.stored]");
        if let Some(roles) = stored.roles.as_ref().filter(|roles| !roles.is_empty()) {
            let _ = writeln!(text, "roles  = {}", list(roles));
        }
        if let Some(scopes) = &stored.scopes {
            let _ = writeln!(text, "scopes = {}", list(scopes));
        }
        match &stored.metadata {
            Some((Some(platform), family)) => {
                let family = family
                    .as_ref()
                    .map_or(String::new(), |family| format!(", device_family = {}", quoted(family)));
                let _ = writeln!(text, "metadata = {{ platform = {}{family} }}", quoted(platform));
            }
            Some((None, _)) => text.push_str("metadata = \"legacy\"\n"),
            None => {}
        }
    }
    arrivals(text, cohort, clock, lists);
    rhythm(text, cohort, clock);
    expectation(text, cohort, profile);
    if like.approved {
        let delays = cohort.members.iter().filter_map(|member| member.part.delay());
        let (shortest, longest) =
            delays.fold((i64::MAX, 0), |(low, high), delay| (low.min(delay), high.max(delay)));
        let think = if longest > shortest {
            format!("\"{}..{}\"", bare(clock.span(shortest)), bare(clock.span(longest)))
        } else {
            seconds(clock.span(longest))
        };
        let _ = write!(
            text,
            "\n[operator.for-{name}]\nserves = [\"{name}\"]\nthink  = {think}                 # from the first refusal to the approval\n"
        );
    }
}

fn credential(cohort: &Cohort, grouped: &Grouped) -> Option<&'static str> {
    match cohort.like.why {
        Some(Why::TokenMismatch | Why::RateLimited) => Some("wrong-token"),
        Some(Why::TokenMissing | Why::PasswordMissing) => Some("missing"),
        Some(Why::PasswordMismatch) => Some("wrong-password"),
        Some(Why::DeviceTokenMismatch) => Some("forged-device-token"),
        _ if cohort.like.by_device_token => Some("device-token"),
        _ if grouped.password => Some("password"),
        _ => None,
    }
}

fn deviation(cohort: &Cohort) -> String {
    let plain = match cohort.like.why {
        Some(Why::InsecureContext | Why::DeviceRequired) => "no-device",
        Some(Why::Signature) => "bad-signature",
        Some(Why::Nonce) => "wrong-nonce",
        Some(Why::DeviceId) => "foreign-device-id",
        Some(Why::Timeout) => "silent",
        Some(Why::InvalidHandshake) => "not-a-request",
        Some(Why::SignatureStale) => return "deviation.clock-skew = \"-15m\"\n".to_owned(),
        Some(Why::Protocol) => return "deviation.protocol = { min = 1, max = 1 }\n".to_owned(),
        Some(Why::Role) => return "role = { unknown = \"admin\" }\n".to_owned(),
        // A command line that was told to pair has shown its device.
        Some(why) if why.is_pairing() && cohort.like.persona == "cli" && cohort.like.stored.is_none() => {
            "none"
        }
        None if cohort.like.persona == "cli" && cohort.like.stored.is_none() => "none",
        _ => return String::new(),
    };
    format!("deviation = \"{plain}\"\n")
}

fn arrivals(text: &mut String, cohort: &Cohort, clock: Clock, lists: &mut Vec<File>) {
    let name = &cohort.name;
    let moments = cohort.members.iter().map(|member| clock.moment(member.part.first));
    if let [only] = cohort.members.as_slice() {
        let _ =
            write!(text, "[cohort.{name}.arrivals.herd]\nat = {}\n", seconds(clock.moment(only.part.first)));
        return;
    }
    let path = format!("arrivals/{name}.txt");
    let mut list = format!("# When the {} clients of `{name}` come.\n", cohort.members.len());
    for moment in moments {
        let _ = writeln!(list, "{moment:.3}");
    }
    let _ = write!(text, "[cohort.{name}.arrivals.replay]\nfile = \"{path}\"\n");
    lists.push(File { path, text: list });
}

/// Sessions, and how often and how fast a client tries.
fn rhythm(text: &mut String, cohort: &Cohort, clock: Clock) {
    let name = &cohort.name;
    let like = &cohort.like;
    let held = cohort.members.iter().filter_map(|member| member.part.held).max();
    if held.is_some() || like.sessions > 1 {
        let _ = writeln!(text, "[cohort.{name}.session]");
        if let Some(held) = held {
            let _ = writeln!(text, "hold       = {}", seconds(clock.span(held).max(0.001)));
        }
        if like.sessions > 1 {
            let _ = writeln!(text, "reconnects = {}", like.sessions - 1);
        }
    }
    let most = cohort.members.iter().map(|member| member.part.refusals).max().unwrap_or(0);
    let count = cohort.members.len().max(1);
    #[expect(clippy::cast_precision_loss, reason = "numbers of clients and attempts")]
    let pause = if like.approved {
        // So that the approval falls between the last refusal and the attempt after it. What an answer takes comes on top of
        // each pause, so that a client is later than its pauses, and there is more room on that side.
        let delay = cohort
            .members
            .iter()
            .filter_map(|member| member.part.delay())
            .map(|delay| clock.span(delay))
            .sum::<f64>()
            / count as f64;
        Some(delay / (f64::from(most) - LATE).max(LATE))
    } else {
        let pauses: Vec<f64> = cohort
            .members
            .iter()
            .filter_map(|member| member.part.pause())
            .map(|pause| clock.span(pause))
            .collect();
        (!pauses.is_empty()).then(|| pauses.iter().sum::<f64>() / pauses.len() as f64)
    };
    let attempts = if like.approved { most.saturating_add(SPARE_ATTEMPTS) } else { most.max(1) };
    let _ = write!(text, "[cohort.{name}.reconnect]\nattempts_max = {attempts}\ngive_up = \"never\"\n");
    match pause {
        Some(pause) => {
            let _ = write!(text, "[cohort.{name}.reconnect.fixed]\npause = {}\n", seconds(pause.max(0.001)));
        }
        None => {
            let _ = write!(
                text,
                "[cohort.{name}.reconnect.fixed]\npause = \"1s\"                             # it tried once: the log shows no pause\n"
            );
        }
    }
}

fn expectation(text: &mut String, cohort: &Cohort, profile: ProfileName) {
    let name = &cohort.name;
    let Some(why) = cohort.like.why.filter(|why| is_answered(*why)) else { return };
    let least = cohort.members.iter().map(|member| member.part.refusals).min().unwrap_or(0);
    let Some(last) = least.checked_sub(1) else { return };
    // Whether the last ones come before the approval is a matter of time, which `attempts.refused` counts.
    let last = if cohort.like.approved { last / 2 } else { last };
    let _ = write!(
        text,
        "[cohort.{name}.expect]\n# {} in the log, for {}\noutcome = \"refused\"\n",
        counted(cohort.refusals(), "refusal"),
        why.word()
    );
    let words = !matches!(profile, ProfileName::V2026_2_19 | ProfileName::V2026_2_21);
    if words && why.is_pairing() && why != Why::Unsaid {
        let _ = writeln!(text, "reason  = \"{}\"", why.word());
    }
    let _ =
        if last == 0 { writeln!(text, "attempts = 0") } else { writeln!(text, "attempts = \"0..{last}\"") };
}
