//! What several tables together get wrong. Each table on its own has been read by now.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use protocol::ProfileName;

use super::diagnostic::Sink;
use super::quantity::show;
use super::{Arrivals, COUNT_MAX, CohortSpec, FaultSchedule, FaultSpec, PROFILES, Places, Scenario};
use crate::vocabulary::addresses::{self, Crowd};
use crate::vocabulary::limits::limits;
use crate::vocabulary::{
    AuthMode, By, Change, ConnectSpec, Credential, Deed, Deviation, FaultKind, ForwardedFor, GiveUp,
    LaunchPlan, NetworkPath, OperatorPlan, OracleMode, Persona, StoreDamage, StoredMetadata, Upkeep,
};

/// Reports what does not fit together. `all_read` says whether every cohort of the file is in the scenario; if not,
/// checks that need all of them are left out, because one slip must not cause two errors.
pub(super) fn check(scenario: &Scenario, places: &Places, all_read: bool, sink: &Sink) {
    times(scenario, places, sink);
    for (cohort, at) in scenario.cohorts.iter().zip(&places.cohorts) {
        schedule(scenario, cohort, &at.arrivals, sink);
        endless(scenario, cohort, at, sink);
        let lacks = cohort.cohort.stored.as_ref().is_some_and(|stored| stored.absent.any());
        if lacks && scenario.oracle == OracleMode::Profile {
            let message = "an entry without roles or scopes is what the oracle does not know";
            let help = "set oracle = \"expectations\" and say what is due, or give the entry a list, which may be empty";
            sink.report("conflict", &at.name, message, Some(help.to_owned()));
        }
        // Steps have expectations of their own.
        let alone = !matches!(cohort.arrivals, Arrivals::Steps);
        let steps_say = cohort.cohort.script.iter().any(|step| step.expect.is_some());
        if scenario.oracle == OracleMode::Expectations
            && cohort.cohort.expect.is_none()
            && alone
            && !steps_say
        {
            let help = Some(format!(
                "add [cohort.{}.expect], for example outcome = \"session\"",
                cohort.cohort.name
            ));
            let message = "with oracle = \"expectations\" nothing judges this cohort";
            sink.report("missing-key", &at.name, message, help);
        }
    }
    faults(scenario, places, sink);
    steps(scenario, places, all_read, sink);
    let reloads = scenario.faults.iter().zip(&places.faults);
    super::launch::check_in_repo_only(
        &scenario.gateway.launch,
        scenario.time_scale,
        reloads
            .filter(|(fault, _)| fault.kind == FaultKind::Reload)
            .map(|(fault, at)| (fault.name.as_str(), at)),
        &places.time_scale,
        sink,
    );
    command_lines(scenario, places, sink);
    judge(scenario, places, sink);
    if all_read {
        sizes(scenario, places, sink);
    }
    // Whom an operator serves is known only when every name has been understood.
    if sink.is_empty() {
        operators(scenario, places, sink);
        told(scenario, places, sink);
    }
}

/// A profile that the oracle does not know can only be held to what the scenario expects.
fn judge(scenario: &Scenario, places: &Places, sink: &Sink) {
    let profile = scenario.gateway.profile;
    if scenario.oracle == OracleMode::Profile && !PROFILES.contains(&profile) {
        let known = PROFILES.map(ProfileName::as_str);
        let help = format!(
            "oracle = \"expectations\" judges by what the scenario expects; the oracle knows {}",
            super::names::list(&known)
        );
        let message = format!("the oracle does not know the profile `{profile}` yet");
        sink.report("not-supported", &places.profile, message, Some(help));
    }
}

fn times(scenario: &Scenario, places: &Places, sink: &Sink) {
    if let Some(duration) = scenario.duration
        && scenario.max_time < duration
    {
        let message = format!(
            "max_time {} ends the run before its duration {}",
            show(scenario.max_time),
            show(duration)
        );
        let help = Some("max_time is the limit for a run that hangs: set it well above duration".to_owned());
        // Without `max_time` in the file the duration is what does not fit.
        let at = if places.max_time == (0..0) { &places.duration } else { &places.max_time };
        sink.report("schedule", at, message, help);
    }
    let silent = scenario.cohorts.iter().position(|spec| {
        let asks = std::iter::once(&spec.cohort.connect).chain(&spec.cohort.variants);
        asks.into_iter().any(|ask| ask.deviation == Deviation::Silent)
    });
    let patience = limits(scenario.gateway.profile).handshake;
    if let Some(silent) = silent
        && scenario.attempt_timeout <= patience
    {
        let message = format!(
            "attempt_timeout {} is over before the gateway closes a silent client ({})",
            show(scenario.attempt_timeout),
            show(patience)
        );
        let name_at = places.cohorts.get(silent).map(|at| &at.name);
        let at = if places.attempt_timeout == (0..0) { name_at } else { Some(&places.attempt_timeout) };
        let help = format!("at least \"{}\"", show(patience + Duration::from_secs(2)));
        sink.report("schedule", at.unwrap_or(&(0..0)), message, Some(help));
    }
}

fn schedule(scenario: &Scenario, cohort: &CohortSpec, at: &super::Span, sink: &Sink) {
    if let Arrivals::Closed { concurrency, .. } = cohort.arrivals {
        if concurrency as usize > scenario.in_flight_max {
            let message =
                format!("{concurrency} at a time are more than in_flight_max {}", scenario.in_flight_max);
            sink.report("conflict", at, message, Some("raise `in_flight_max`".to_owned()));
        }
        return;
    }
    if matches!(cohort.arrivals, Arrivals::Steps) {
        return;
    }
    // A rate that is always 0 has been reported where it stands.
    if let Arrivals::Ramp { from: low, to: high, .. }
    | Arrivals::Stairs { from: low, to: high, .. }
    | Arrivals::Spike { base: low, peak: high, .. } = cohort.arrivals
        && low + high <= 0.0
    {
        return;
    }
    if let Some(listed) = cohort.arrivals.own_count()
        && listed < cohort.count
    {
        let message = format!("{} clients, but the list holds {listed} arrivals", cohort.count);
        let help = Some("leave `count` out: then as many arrive as the list has".to_owned());
        sink.report("schedule", at, message, help);
        return;
    }
    let Some(last) = cohort.arrivals.last_arrival(cohort.count) else {
        let message = format!("{} clients never all arrive: the rate falls to 0 before", cohort.count);
        let help = match cohort.arrivals {
            Arrivals::Ramp { .. } => "leave `over` out, or let the ramp end above 0",
            Arrivals::Stairs { .. } => "let the stairs end above 0",
            _ => "raise `base` above 0, or `peak` or `for`",
        };
        sink.report("schedule", at, message, Some(help.to_owned()));
        return;
    };
    let (limit, name) = match scenario.duration {
        Some(duration) => (duration, "duration"),
        None => (scenario.max_time, "max_time"),
    };
    if last >= limit {
        let message = format!(
            "the last of {} clients arrives at {}, when `{name}` {} is over",
            cohort.count,
            show(last),
            show(limit)
        );
        let help = Some(format!("raise `{name}` or the rate, or lower `count`"));
        sink.report("schedule", at, message, help);
    }
}

/// Scripts that only the end of the run ends need a `duration`; otherwise the run goes on until `max_time` kills it.
fn endless(scenario: &Scenario, cohort: &CohortSpec, at: &super::CohortPlaces, sink: &Sink) {
    if scenario.duration.is_some() || scenario.after_faults.is_some() {
        return;
    }
    let script_holds = cohort.cohort.script.iter().any(|step| step.deed == Deed::Hold(None));
    if cohort.cohort.session.hold.is_none() || script_holds {
        let help = Some("set `duration` at the top of the file".to_owned());
        sink.report("schedule", &at.session, "`until-end` of a run without `duration` never comes", help);
    }
    let policy = &cohort.cohort.reconnect;
    if policy.told.is_some() {
        let help = Some("set `duration` at the top of the file".to_owned());
        let message = "clients that wait until they are told of an approval may never end the run";
        sink.report("schedule", &at.reconnect, message, help);
    }
    if policy.attempts_max.is_none() && policy.gives_up_on_refusal == GiveUp::Never {
        let help = Some("set `attempts_max` here or `duration` at the top of the file".to_owned());
        sink.report("schedule", &at.reconnect, "clients that never give up never end the run", help);
    }
}

fn faults(scenario: &Scenario, places: &Places, sink: &Sink) {
    if scenario.after_faults.is_some() {
        let at = &places.after_faults;
        if scenario.faults.is_empty() {
            let help = Some("add a [fault.NAME], or set `duration` instead".to_owned());
            sink.report("conflict", at, "`after_faults` without faults never comes", help);
        }
        if scenario.duration.is_some() {
            let help = Some("keep one of them".to_owned());
            sink.report("conflict", at, "both `duration` and `after_faults` end the run", help);
        }
    }
    let (limit, name) = match scenario.duration {
        Some(duration) => (duration, "duration"),
        None => (scenario.max_time, "max_time"),
    };
    // Times that are drawn may fall on each other: then one waits for the other's end.
    let mut fixed: Vec<(Duration, Duration, &FaultSpec, &super::Span)> = Vec::new();
    for (fault, at) in scenario.faults.iter().zip(&places.faults) {
        fault_fits(scenario, fault, at, sink);
        let last = fault.schedule.last();
        if last >= limit {
            let message =
                format!("`{}` would happen at {}, after `{name}` {}", fault.name, show(last), show(limit));
            sink.report("schedule", at, message, None);
            continue;
        }
        if let FaultSchedule::Every { first, every, times } = fault.schedule {
            let begins = (0..times).map(|index| first + every * index);
            fixed.extend(begins.map(|begins| (begins, begins.saturating_add(lasts(fault)), fault, at)));
        }
    }
    fixed.sort_by_key(|(begins, ..)| *begins);
    // What lasts goes on beside what is done to the process, but not twice at the same place.
    let mut busy: Vec<(&str, Duration, &FaultSpec)> = Vec::new();
    for (begins, ends, fault, at) in fixed {
        let place = fault.kind.place();
        if let Some((_, until, other)) =
            busy.iter().find(|(other, until, _)| *other == place && begins < *until).copied()
        {
            let message = if std::ptr::eq(other, fault) {
                format!(
                    "`{}` happens again before it is over, which it is after {} at least",
                    fault.name,
                    show(lasts(fault))
                )
            } else {
                format!(
                    "`{}` falls into `{}`, which lasts until {} at least",
                    fault.name,
                    other.name,
                    show(until)
                )
            };
            sink.report("schedule", at, message, Some("faults happen one after the other".to_owned()));
            break;
        }
        busy.retain(|(other, ..)| *other != place);
        busy.push((place, ends, fault));
    }
    endless_faults(scenario, places, sink);
}

/// Steps decide alone what happens to their clients and to the gateway: what else could is refused, because then the
/// order would not be theirs.
fn steps(scenario: &Scenario, places: &Places, all_read: bool, sink: &Sink) {
    if scenario.steps.is_empty() {
        return;
    }
    if let (Some(fault), Some(at)) = (scenario.faults.first(), places.faults.first()) {
        let message = format!("`{}` happens at a time, but the steps of this file have an order", fault.name);
        let help = Some("make it a step: restart = \"SIGTERM\", reload = true".to_owned());
        sink.report("conflict", at, message, help);
    }
    // Operators refer to cohorts by their place in the file.
    let operators = scenario.operators.iter().zip(&places.operators).filter(|_| all_read);
    for (operator, at) in operators {
        let served = served_by(operator, &scenario.cohorts);
        if let Some(spec) = served.iter().find(|spec| matches!(spec.arrivals, Arrivals::Steps)) {
            let message = format!("both `{}` and steps decide about `{}`", operator.name, spec.cohort.name);
            let help =
                "name the other cohorts in `serves`, or remove the operator: steps approve by themselves";
            sink.report("conflict", at, message, Some(help.to_owned()));
        }
    }
}

/// How long a fault lasts at least; one nanosecond, so that two at the same instant collide.
fn lasts(fault: &FaultSpec) -> Duration {
    let lasts = match fault.kind {
        FaultKind::Restart { down, .. } => down,
        FaultKind::Pause(pause) => pause,
        FaultKind::Stall { length, .. } => length,
        FaultKind::Reload | FaultKind::Edit { .. } => Duration::ZERO,
        // Without an end it lasts until the run's.
        _ => fault.lasts.unwrap_or(Duration::MAX),
    };
    lasts.max(Duration::from_nanos(1))
}

/// A fault at a drawn time waits for the end of what goes on at its place, which must have one.
fn endless_faults(scenario: &Scenario, places: &Places, sink: &Sink) {
    let faults = || scenario.faults.iter().zip(&places.faults);
    let is_drawn = |fault: &FaultSpec| !matches!(fault.schedule, FaultSchedule::Every { .. });
    for (fault, at) in faults().filter(|(fault, _)| lasts(fault) == Duration::MAX) {
        let waits = faults().find(|(other, _)| {
            let is_same = std::ptr::eq(*other, fault);
            other.kind.place() == fault.kind.place()
                && (is_drawn(fault) || is_drawn(other))
                && (!is_same || fault.schedule.times() > 1)
                && other.schedule.latest() >= fault.schedule.first()
        });
        if let Some((other, _)) = waits {
            let message = format!(
                "`{}` lasts until the run's end, and `{}` may have to wait for it",
                fault.name, other.name
            );
            sink.report("schedule", at, message, Some("say how long it lasts: for = \"2s\"".to_owned()));
        }
    }
}

/// Faults that not every gateway, store or judge is up to.
fn fault_fits(scenario: &Scenario, fault: &FaultSpec, at: &super::Span, sink: &Sink) {
    let name = &fault.name;
    let own = scenario.gateway.launch.is_in_repo();
    let by_profile = scenario.oracle == OracleMode::Profile;
    let sqlite = scenario.gateway.profile == ProfileName::V2026_9_6;
    let refuse = |message: String, help: &str| sink.report("conflict", at, message, Some(help.to_owned()));
    match fault.kind {
        FaultKind::SecondGateway { .. } if !own => refuse(
            format!("`{name}` starts a second gateway of this repository"),
            "leave `launch` out, or the fault",
        ),
        FaultKind::Store(StoreDamage::ReadOnly) if sqlite => refuse(
            format!("`{name}`: an open database goes on writing whatever becomes of its folder"),
            "`store = \"full\"` keeps it from writing",
        ),
        FaultKind::Clock { .. } if by_profile => refuse(
            format!("`{name}` steps the clients' clocks, which the oracle does not follow"),
            "set oracle = \"expectations\" and say with [cohort.NAME.expect] what is due",
        ),
        _ => {}
    }
    match fault.change {
        Some(Change::Profile(_)) if by_profile => refuse(
            format!("`{name}` changes the profile, and the oracle follows one from beginning to end"),
            "set oracle = \"expectations\" and say with [cohort.NAME.expect] what is due",
        ),
        Some(Change::Profile(_)) if !own => {
            refuse(
                format!("`{name}`: only the in-repo gateway has profiles"),
                "leave `launch` out, or the fault",
            );
        }
        Some(Change::Secret) if scenario.gateway.auth != AuthMode::Token => refuse(
            format!("`{name}`: the gateway has no shared token to be changed"),
            "leave `auth.mode` at \"token\"",
        ),
        Some(Change::Secret) if by_profile => refuse(
            format!("`{name}` changes the shared token, and the oracle knows one from beginning to end"),
            "set oracle = \"expectations\" and say with [cohort.NAME.expect] what is due",
        ),
        _ => {}
    }
}

fn sizes(scenario: &Scenario, places: &Places, sink: &Sink) {
    let total: u64 = scenario.cohorts.iter().map(|cohort| u64::from(cohort.count)).sum();
    if total > u64::from(COUNT_MAX)
        && let Some(at) = places.cohorts.last()
    {
        sink.report("limit", &at.count, format!("{total} clients in all, more than {COUNT_MAX}"), None);
    }
    let release = scenario.gateway.profile;
    let crowds = scenario.cohorts.iter().map(|spec| Crowd::of(&spec.cohort.connect.path, spec.count));
    if let Err(beyond) = addresses::check(release, crowds)
        && let Some((spec, at)) = scenario.cohorts.get(beyond).zip(places.cohorts.get(beyond))
    {
        let message = match Crowd::of(&spec.cohort.connect.path, spec.count) {
            Crowd::Direct(_) => {
                "127.1.0.0/16 has not enough addresses for so many clients in so many cohorts"
            }
            _ => "there are not enough addresses to forward for so many clients in so many cohorts",
        };
        let help = Some(format!(
            "an address serves {} clients of one cohort: use fewer cohorts or fewer clients",
            addresses::clients_each(release)
        ));
        sink.report("address", &at.count, message, help);
    }
    let mut behind: BTreeMap<Ipv4Addr, u64> = BTreeMap::new();
    for (cohort, at) in scenario.cohorts.iter().zip(&places.cohorts) {
        if let NetworkPath::Proxy { from, .. } = &cohort.cohort.connect.path {
            let at_a_time = match cohort.arrivals {
                Arrivals::Closed { concurrency, .. } => concurrency.min(cohort.count),
                // One step after the other; what is held is no crowd.
                Arrivals::Steps => 1,
                _ => cohort.count,
            };
            let sum = behind.entry(*from).or_default();
            let before = *sum;
            *sum += u64::from(at_a_time);
            if *sum > addresses::PORTS_EACH && before <= addresses::PORTS_EACH {
                let message =
                    format!("{sum} clients behind {from}, which has ports for {}", addresses::PORTS_EACH);
                let help = Some("spread them over several [path.NAME] with different `from`".to_owned());
                sink.report("address", &at.count, message, help);
            }
        }
    }
}

fn operators(scenario: &Scenario, places: &Places, sink: &Sink) {
    // What another server asks of whom is not known here.
    if scenario.oracle == OracleMode::Expectations {
        return;
    }
    for (operator, at) in scenario.operators.iter().zip(&places.operators) {
        let served: Vec<&CohortSpec> = served_by(operator, &scenario.cohorts);
        // Whoever tends to paired devices has something to do, whether or not somebody asks.
        let tends = operator.upkeep != Upkeep::default();
        if !tends && !served.iter().any(|cohort| may_need_approval(scenario, cohort)) {
            let help = Some(
                "remove it, or let it serve clients behind a proxy or with a `stored` entry that differs from what they ask"
                    .to_owned(),
            );
            let message = format!("nobody whom `{}` serves ever needs an approval", operator.name);
            sink.report("conflict", at, message, help);
        }
    }
}

/// Nobody knows what somebody's own build is managed with.
fn command_lines(scenario: &Scenario, places: &Places, sink: &Sink) {
    if !matches!(scenario.gateway.launch, LaunchPlan::Command { .. }) {
        return;
    }
    for (operator, at) in scenario.operators.iter().zip(&places.operators) {
        if operator.by == By::CommandLine {
            let message = format!(
                "`{}` works with by = \"command-line\", and the `devices` command of a gateway of one's own is not known",
                operator.name
            );
            let help = "leave `by` out, or launch the in-repo gateway or a release of OpenClaw";
            sink.report("not-supported", at, message, Some(help.to_owned()));
        }
    }
}

/// Who waits to be told needs somebody who tells.
fn told(scenario: &Scenario, places: &Places, sink: &Sink) {
    for (position, (spec, at)) in scenario.cohorts.iter().zip(&places.cohorts).enumerate() {
        let serves = |operator: &OperatorPlan| {
            operator.serves.as_ref().is_none_or(|served| served.iter().any(|it| usize::from(*it) == position))
        };
        if spec.cohort.reconnect.told.is_some() && !scenario.operators.iter().any(serves) {
            let message =
                format!("nobody tells `{}` of an approval: no operator serves it", spec.cohort.name);
            let help = Some("add an [operator.NAME], or another `reconnect`".to_owned());
            sink.report("conflict", &at.reconnect, message, help);
        }
    }
}

fn served_by<'a>(operator: &OperatorPlan, cohorts: &'a [CohortSpec]) -> Vec<&'a CohortSpec> {
    match &operator.serves {
        None => cohorts.iter().collect(),
        Some(positions) => {
            positions.iter().filter_map(|position| cohorts.get(usize::from(*position))).collect()
        }
    }
}

/// Whether a client of the cohort could be refused with "pairing required", whatever it connects with.
fn may_need_approval(scenario: &Scenario, spec: &CohortSpec) -> bool {
    let loses_key = spec.cohort.lives() > 1;
    let mut asks = std::iter::once(&spec.cohort.connect).chain(&spec.cohort.variants);
    asks.any(|connect| asks_for_approval(scenario, spec, connect, loses_key))
}

/// Whether this connect could be. Errs on the side of yes: the oracle knows
/// better, and this only finds operators who certainly have nothing to do.
fn asks_for_approval(scenario: &Scenario, spec: &CohortSpec, connect: &ConnectSpec, loses_key: bool) -> bool {
    // A client that is refused before pairing is looked at never asks.
    let proves_its_device = match connect.deviation {
        Deviation::None => true,
        Deviation::ClockSkew(milliseconds) => milliseconds.abs() <= 120_000,
        Deviation::Protocol { min, max } => (min..=max).contains(&3),
        Deviation::Oversized(_) => false,
        _ => false,
    };
    let may_be_let_in = match connect.credential {
        Credential::WrongToken | Credential::WrongPassword | Credential::Missing => {
            scenario.gateway.auth == AuthMode::None
        }
        Credential::ForgedDeviceToken => scenario.gateway.auth == AuthMode::None,
        _ => true,
    };
    let browser = matches!(connect.persona, Persona::ControlUi | Persona::Webchat);
    let has_origin = !browser || connect.origin.is_some();
    let differs = match &spec.cohort.stored {
        Some(_) if loses_key => true,
        Some(stored) => {
            let role = connect.role.as_deref().unwrap_or("operator");
            let scopes = connect.scopes.as_deref().unwrap_or_default();
            !stored.roles.iter().any(|stored| stored == role)
                || !scopes.iter().all(|scope| stored.scopes.contains(scope))
                || stored.metadata != StoredMetadata::Same
                || connect.platform != spec.cohort.connect.platform
                || connect.device_family != spec.cohort.connect.device_family
        }
        None => match &connect.path {
            // On its own host a client is asked when it wants more than it was let in with.
            NetworkPath::Direct => !spec.cohort.variants.is_empty(),
            NetworkPath::Proxy { forwarded_for, .. } => {
                // Only a proxy can make a client remote; a fixed header may also make it local.
                !matches!(forwarded_for, ForwardedFor::Absent) || !scenario.gateway.trusted_proxies.is_empty()
            }
        },
    };
    proves_its_device && may_be_let_in && has_origin && differs
}
