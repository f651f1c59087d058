//! `[fault.NAME]`: what happens to the gateway, and when.

use std::time::Duration;

use super::reader::{Fields, duration, positive_duration, truth, word};
use crate::vocabulary::{FaultKind, PlannedFault, StopSignal};

/// Pause between exit and start when the scenario gives none.
pub(super) const DOWN: Duration = Duration::from_millis(200);
/// The signals that stop a gateway, by name.
pub(super) const SIGNALS: [(&str, StopSignal); 2] =
    [("SIGTERM", StopSignal::Sigterm), ("SIGKILL", StopSignal::Sigkill)];
const KINDS: [&str; 3] = ["restart", "reload", "pause"];

/// Reads one fault; `None` if its time or its kind is missing or wrong.
pub(super) fn read(name: &str, fields: Fields<'_>) -> Option<PlannedFault> {
    let at = fields.required("at", "when, for example \"6s\"", duration);
    let down = fields.read("down", duration);
    let kind = match fields.one_of(&KINDS, "what happens") {
        Some(("restart", _)) => {
            let signal = fields.read("restart", word(&SIGNALS));
            signal.map(|signal| FaultKind::Restart { signal, down: down.unwrap_or(DOWN) })
        }
        Some(("reload", entry)) => match fields.read("reload", truth) {
            Some(true) => Some(FaultKind::Reload),
            Some(false) => {
                let help = Some("write `reload = true`, or remove the fault".to_owned());
                fields.sink.report("value", &entry.node.span, "a fault that does nothing", help);
                None
            }
            None => None,
        },
        Some((_, _)) => fields.read("pause", positive_duration).map(FaultKind::Pause),
        None => None,
    };
    if fields.entry("down").is_some() && fields.entry("restart").is_none() {
        let help = Some("`down` is the pause between the exit and the start of a `restart`".to_owned());
        fields.sink.report("conflict", &fields.span("down"), "`down` without `restart`", help);
    }
    fields.finish();
    let at = u64::try_from(at?.as_nanos()).ok()?;
    Some(PlannedFault { name: name.to_owned(), at, kind: kind? })
}
