//! The plan as text for people: what `pairstorm plan` prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use protocol::ProfileName;

use super::limits::limits;
use super::needs::Needs;
use super::{
    Backoff, Cohort, Credential, Deviation, Executor, FaultKind, ForwardedFor, LaunchPlan, Nanos,
    NetworkPath, OracleMode, Plan, PlannedClient, SessionScript, Trigger, persona,
};
use crate::scenario::show_duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Width of the longest bar of the chart.
const BAR_WIDTH: usize = 50;
/// Rows of the chart at most; beyond, a row stands for several seconds.
const CHART_ROWS: u64 = 60;
/// Faults shown in a row of it.
const FAULTS_A_ROW: usize = 4;
/// Waiting faults of which the instants are shown.
const WAITING_SHOWN: usize = 8;

/// The plan as text: clients by cohort, arrivals by second, faults on the time line, and what the run needs of the
/// machine. Pure; no line ends in a space.
#[must_use]
pub fn describe(plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_header(&mut text, plan);
    let _ = write_cohorts(&mut text, plan);
    let _ = write_operators(&mut text, plan);
    let _ = super::narrate::write_scripts(&mut text, plan);
    let _ = super::narrate::write_steps(&mut text, plan);
    let _ = write_chart(&mut text, plan);
    let _ = super::timeline::write(&mut text, plan);
    let _ = write_rules(&mut text, plan);
    let _ = write_needs(&mut text, plan);
    text
}

fn write_header(text: &mut String, plan: &Plan) -> std::fmt::Result {
    let judge = match plan.oracle {
        OracleMode::Profile => format!("profile `{}`", plan.gateway.profile),
        OracleMode::Expectations => "the scenario's own expectations".to_owned(),
    };
    let duration = match (plan.duration, plan.after_faults) {
        (Some(duration), _) => show_duration(duration),
        (None, Some(after)) => format!("until {} after the last fault", show_duration(after)),
        (None, None) => "until all scripts have ended".to_owned(),
    };
    writeln!(
        text,
        "{}: {} clients in {} cohorts, seed {}{}",
        plan.name,
        plan.arriving().count(),
        plan.cohorts.len(),
        plan.seed,
        plan.shard.map_or_else(String::new, |shard| format!(", shard {shard}")),
    )?;
    for line in plan.about.trim().lines() {
        writeln!(text, "{}", format!("  {line}").trim_end())?;
    }
    writeln!(text, "duration   {duration}; killed after {}", show_duration(plan.max_time))?;
    writeln!(text, "judged by  {judge}")?;
    match &plan.gateway.launch {
        LaunchPlan::InRepo => {}
        LaunchPlan::OpenClaw { version } => writeln!(text, "launches   OpenClaw {version}, as npm has it")?,
        LaunchPlan::Command { command, .. } => writeln!(text, "launches   {}", command.join(" "))?,
    }
    if plan.time_scale != 1.0 {
        writeln!(text, "time scale {}", plan.time_scale)?;
    }
    if let Some(defect) = &plan.gateway.defect {
        writeln!(text, "defect     {defect}, switched on deliberately")?;
    }
    if plan.gateway.stored_bystanders > 0 {
        writeln!(text, "store      {} devices that are nobody's clients", plan.gateway.stored_bystanders)?;
    }
    Ok(())
}

fn write_cohorts(text: &mut String, plan: &Plan) -> std::fmt::Result {
    let mut rows = vec![["cohort", "clients", "persona", "arrive", "path", "special"].map(str::to_owned)];
    for (cohort, times) in plan.cohorts.iter().zip(times_by_cohort(plan)) {
        rows.push([
            cohort.name.clone(),
            times.len().to_string(),
            persona::profile(cohort.connect.persona, plan.gateway.profile).name.to_owned(),
            arrivals(cohort, &times),
            path(&cohort.connect.path),
            special(cohort, plan.gateway.profile),
        ]);
    }
    writeln!(text)?;
    write_table(text, &rows)
}

fn times_by_cohort(plan: &Plan) -> Vec<Vec<Nanos>> {
    let mut times = vec![Vec::new(); plan.cohorts.len()];
    for (_, client) in plan.arriving() {
        if let Some(cohort) = times.get_mut(usize::from(client.cohort)) {
            cohort.push(client.intended);
        }
    }
    times
}

fn arrivals(cohort: &Cohort, times: &[Nanos]) -> String {
    let first = times.iter().min().copied().unwrap_or_default();
    let last = times.iter().max().copied().unwrap_or_default();
    if let Executor::Closed { concurrency, .. } = cohort.executor {
        return format!("{concurrency} at a time from {}", seconds(first));
    }
    if cohort.executor == Executor::Steps {
        return "in steps".to_owned();
    }
    if first == last {
        return format!("at {}", seconds(first));
    }
    format!("{} to {}", seconds(first), seconds(last))
}

fn seconds(at: Nanos) -> String {
    format!("{:.1}s", at as f64 / NANOS_PER_SECOND as f64)
}

pub(super) fn path(path: &NetworkPath) -> String {
    match path {
        NetworkPath::Direct => "direct".to_owned(),
        NetworkPath::Proxy { from, forwarded_for, .. } => match forwarded_for {
            ForwardedFor::Own => format!("via {from}"),
            ForwardedFor::Fixed(value) => format!("via {from} for {value}"),
            ForwardedFor::Absent => format!("via {from} for nobody"),
        },
    }
}

/// What sets a cohort apart from clients that do everything right, hold no session and are not known to the store.
pub(super) fn special(cohort: &Cohort, release: ProfileName) -> String {
    let connect = &cohort.connect;
    let mut words = Vec::new();
    if let Some(stored) = &cohort.stored {
        let metadata = match &stored.metadata {
            super::StoredMetadata::Same => "",
            super::StoredMetadata::Legacy => ", no metadata",
            super::StoredMetadata::Other { .. } => ", other metadata",
        };
        words.push(format!("stored ({}{metadata})", stored.roles.join("+")));
    }
    if connect.credential != Credential::SharedToken {
        words.push(credential(connect.credential).to_owned());
    }
    words.extend(deviation(&connect.deviation));
    words.extend(match (&connect.origin, persona::profile(connect.persona, release).browser) {
        (Some(super::Origin::Fixed(origin)), _) => Some(format!("origin {origin}")),
        (None, true) => Some("no origin".to_owned()),
        _ => None,
    });
    if !cohort.script.is_empty() {
        words.push(format!("script of {}", counted(cohort.script.len(), "step")));
    }
    words.extend(match cohort.session {
        SessionScript { hold: None, .. } => Some("stays until the end".to_owned()),
        SessionScript { hold: Some(hold), reconnects } if !hold.max.is_zero() => {
            let range = if hold.min == hold.max {
                show_duration(hold.max)
            } else {
                format!("{}..{}", show_duration(hold.min), show_duration(hold.max))
            };
            let again = if reconnects > 0 { format!(", then {reconnects}x again") } else { String::new() };
            Some(format!("stays {range}{again}"))
        }
        SessionScript { reconnects, .. } => (reconnects > 0).then(|| format!("connects {reconnects}x again")),
    });
    if cohort.reconnect.backoff == Backoff::Tight {
        words.push("reconnects without pause".to_owned());
    }
    words.join("; ")
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

pub(super) const fn credential(credential: Credential) -> &'static str {
    match credential {
        Credential::SharedToken => "shared token",
        Credential::WrongToken => "wrong token",
        Credential::Password => "password",
        Credential::WrongPassword => "wrong password",
        Credential::DeviceToken => "device token",
        Credential::FirstDeviceToken => "first device token",
        Credential::ForgedDeviceToken => "forged device token",
        Credential::Missing => "no credential",
    }
}

pub(super) fn deviation(deviation: &Deviation) -> Option<String> {
    let word = match deviation {
        Deviation::None => return None,
        Deviation::NoDevice => "no device".to_owned(),
        Deviation::ForeignDeviceId => "id of another key".to_owned(),
        Deviation::BadSignature => "bad signature".to_owned(),
        Deviation::SignatureV1 => "signature v1".to_owned(),
        Deviation::WrongNonce => "wrong nonce".to_owned(),
        Deviation::BlankNonce => "blank nonce".to_owned(),
        Deviation::ClockSkew(milliseconds) => {
            let sign = if *milliseconds < 0 { "-" } else { "+" };
            format!("clock {sign}{}", show_duration(Duration::from_millis(milliseconds.unsigned_abs())))
        }
        Deviation::Protocol { min, max } => format!("protocol {min}..{max}"),
        Deviation::UnknownKey => "unknown key".to_owned(),
        Deviation::NotJson => "not JSON".to_owned(),
        Deviation::NotARequest => "not a request".to_owned(),
        Deviation::WrongMethod => "wrong method".to_owned(),
        Deviation::Oversized(bytes) => format!("{bytes} bytes"),
        Deviation::Silent => "says nothing".to_owned(),
    };
    Some(word)
}

fn write_table(text: &mut String, rows: &[[String; 6]]) -> std::fmt::Result {
    let mut widths = [0_usize; 6];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut line = String::new();
        for (column, (width, cell)) in widths.iter().zip(row).enumerate() {
            // The second column holds numbers.
            let cell = if column == 1 { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line.push_str(&cell);
            line.push_str("  ");
        }
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

fn write_operators(text: &mut String, plan: &Plan) -> std::fmt::Result {
    if plan.operators.is_empty() {
        return Ok(());
    }
    writeln!(text)?;
    for operator in &plan.operators {
        let serves = match &operator.serves {
            None => "everyone".to_owned(),
            Some(cohorts) => {
                let names = cohorts.iter().filter_map(|at| plan.cohorts.get(usize::from(*at)));
                names.map(|cohort| cohort.name.as_str()).collect::<Vec<_>>().join(", ")
            }
        };
        writeln!(
            text,
            "operator {}: {}; serves {serves}",
            operator.name,
            super::describe_operator(operator)
        )?;
    }
    Ok(())
}

fn write_chart(text: &mut String, plan: &Plan) -> std::fmt::Result {
    let executor =
        |client: &PlannedClient| plan.cohorts.get(usize::from(client.cohort)).map(|cohort| &cohort.executor);
    // Nobody knows when clients of a closed cohort start: the next waits for one to end.
    let closed = |client: &PlannedClient| matches!(executor(client), Some(Executor::Closed { .. }));
    let open_client = |client: &&PlannedClient| matches!(executor(client), Some(Executor::Open));
    let clients = || plan.arriving().map(|(_, client)| client);
    if clients().all(|client| matches!(executor(client), Some(Executor::Steps))) {
        return Ok(());
    }
    let last_arrival = clients().map(|client| client.intended).max().unwrap_or(0);
    let timed = || plan.faults.iter().filter(|fault| fault.trigger.is_none());
    let last_fault = timed().map(|fault| fault.at).max().unwrap_or(0);
    let rows_needed = last_arrival.max(last_fault) / NANOS_PER_SECOND + 1;
    let seconds_a_row = rows_needed.div_ceil(CHART_ROWS).max(1);
    let row_of = |at: Nanos| at / NANOS_PER_SECOND / seconds_a_row;
    let mut open: BTreeMap<u64, usize> =
        (0..=row_of(last_arrival.max(last_fault))).map(|row| (row, 0)).collect();
    for client in clients().filter(open_client) {
        *open.entry(row_of(client.intended)).or_default() += 1;
    }
    let most = open.values().max().copied().unwrap_or(0).max(1);
    let each = if seconds_a_row == 1 { "second".to_owned() } else { format!("{seconds_a_row} seconds") };
    writeln!(
        text,
        "\nfirst arrivals a {each} (each client's first attempt; later ones follow from what happens)"
    )?;
    for (row, arrivals) in &open {
        let width = (arrivals * BAR_WIDTH).div_ceil(most);
        let here = || timed().filter(|fault| row_of(fault.at) == *row);
        let mut faults: Vec<String> = here()
            .take(FAULTS_A_ROW)
            .map(|fault| format!("<- {} at {}: {}", fault.name, seconds(fault.at), fault_text(fault.kind)))
            .collect();
        let more = here().count().saturating_sub(FAULTS_A_ROW);
        faults.extend((more > 0).then(|| format!("<- and {more} more faults")));
        let line =
            format!("{:>5}s {arrivals:>6} {} {}", row * seconds_a_row, "#".repeat(width), faults.join("  "));
        writeln!(text, "{}", line.trim_end())?;
    }
    write_waiting(text, plan)?;
    let waiting = clients().filter(|client| closed(client)).count();
    if waiting > 0 {
        writeln!(text, "  and {waiting} clients of closed cohorts, as places become free")?;
    }
    Ok(())
}

/// Faults whose time nobody knows before the run.
fn write_waiting(text: &mut String, plan: &Plan) -> std::fmt::Result {
    let waiting = || plan.faults.iter().filter_map(|fault| Some((fault, fault.trigger?)));
    for (fault, Trigger::Approval { after }) in waiting().take(WAITING_SHOWN) {
        writeln!(
            text,
            "  {} from {} on: {}, {} after an approval is sent",
            fault.name,
            seconds(fault.at),
            fault_text(fault.kind),
            show_duration(after)
        )?;
    }
    let more = waiting().count().saturating_sub(WAITING_SHOWN);
    if more > 0 {
        writeln!(text, "  and {more} more that wait for approvals")?;
    }
    Ok(())
}

pub(super) fn fault_text(kind: FaultKind) -> String {
    match kind {
        FaultKind::Restart { signal, down } => {
            format!("{}, start again {} after the exit", signal.name(), show_duration(down))
        }
        FaultKind::Reload => "SIGHUP, the store is read again".to_owned(),
        FaultKind::Pause(pause) => format!("stopped for {}", show_duration(pause)),
        FaultKind::Stall { of, every, length } => format!(
            "stands still for {} of every {}, for {}",
            show_duration(of),
            show_duration(every),
            show_duration(length)
        ),
        FaultKind::Cpu { permille } => format!("{} % of a core", f64::from(permille) / 10.0),
        FaultKind::Memory { bytes } => format!("{} MiB of memory", bytes >> 20),
        FaultKind::Network { delay, loss_ppm } => {
            format!("network {} later, {} % lost", show_duration(delay), f64::from(loss_ppm) / 10_000.0)
        }
        FaultKind::Clock { step_ms } => {
            let sign = if step_ms < 0 { "-" } else { "+" };
            format!("clients' clocks {sign}{}", show_duration(Duration::from_millis(step_ms.unsigned_abs())))
        }
        kind => kind.word().to_owned(),
    }
}

fn write_rules(text: &mut String, plan: &Plan) -> std::fmt::Result {
    if plan.thresholds.is_empty() {
        return Ok(());
    }
    writeln!(text)?;
    for threshold in &plan.thresholds {
        writeln!(text, "threshold {}", threshold.text)?;
    }
    Ok(())
}

fn write_needs(text: &mut String, plan: &Plan) -> std::fmt::Result {
    let needs = Needs::of(plan, false);
    let (address, clients) = needs.busiest.unwrap_or((Ipv4Addr::LOCALHOST, 0));
    writeln!(text, "\nneeds of the machine, at most")?;
    writeln!(
        text,
        "  sockets      {} (attempts in progress are limited to {})",
        needs.sockets, plan.in_flight_max
    )?;
    writeln!(text, "  descriptors  {} here, as many sockets again in the gateway", needs.descriptors)?;
    writeln!(text, "  addresses    {} source addresses on loopback", needs.addresses)?;
    writeln!(text, "  ports        {clients} on {address}, the busiest address")?;
    writeln!(text, "  memory       about {} MB here", needs.memory_bytes / 1_000_000)?;
    write_shared(text, plan)
}

/// Who shares an address, where the release counts by address.
fn write_shared(text: &mut String, plan: &Plan) -> std::fmt::Result {
    if !limits(plan.gateway.profile).counts_by_address {
        return Ok(());
    }
    let mut chosen: BTreeMap<Ipv4Addr, usize> = BTreeMap::new();
    let mut set: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, client) in plan.arriving() {
        let cohort = plan.cohorts.get(usize::from(client.cohort));
        match cohort.map(|cohort| &cohort.connect.path) {
            Some(NetworkPath::Proxy { forwarded_for: ForwardedFor::Fixed(value), .. }) => {
                *set.entry(value).or_default() += 1;
            }
            _ => *chosen.entry(client.forwarded.unwrap_or(client.source)).or_default() += 1,
        }
    }
    writeln!(
        text,
        "\nrelease {} counts sockets without connect, and refused credentials, by address",
        plan.gateway.profile
    )?;
    if let Some(most) = chosen.values().max() {
        writeln!(text, "  {most:>6}  clients share an address at most, where the run chooses it")?;
    }
    for (value, clients) in set {
        writeln!(text, "  {clients:>6}  clients are forwarded for {value}, as the scenario has it")?;
    }
    Ok(())
}
