//! Faults on a time line: when each begins and how long it lasts.

use std::fmt::Write as _;
use std::time::Duration;

use super::{FaultKind, Nanos, Plan, PlannedFault};

/// Columns of the line.
const WIDTH: usize = 60;
/// Rows of it at most.
const ROWS_MAX: usize = 20;

/// One fault of the scenario, with every time that it happens.
struct Row<'p> {
    name: &'p str,
    faults: Vec<&'p PlannedFault>,
}

/// Writes a row a fault of the scenario; nothing if there is none.
pub(super) fn write(text: &mut String, plan: &Plan) -> std::fmt::Result {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for fault in &plan.faults {
        // `kill/3` is the third time of `kill`.
        let name = fault.name.split('/').next().unwrap_or(&fault.name);
        match rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.faults.push(fault),
            None => rows.push(Row { name, faults: vec![fault] }),
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let end = end(plan);
    let wide = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
    writeln!(
        text,
        "\nfaults from 0 to {} (x at once, = as long as it lasts, ~ waits for an approval)",
        seconds(end)
    )?;
    for row in rows.iter().take(ROWS_MAX) {
        let line: String = row.line(end).into_iter().collect();
        writeln!(text, "  {:<wide$} |{line}| {}", row.name, row.when())?;
    }
    match rows.len().saturating_sub(ROWS_MAX) {
        0 => Ok(()),
        more => writeln!(text, "  and {more} more"),
    }
}

impl Row<'_> {
    fn line(&self, end: Nanos) -> [char; WIDTH] {
        let mut line = [' '; WIDTH];
        let column = |at: Nanos| {
            let column = u128::from(at) * WIDTH as u128 / u128::from(end.max(1));
            usize::try_from(column).unwrap_or(WIDTH).min(WIDTH - 1)
        };
        for fault in &self.faults {
            let first = column(fault.at);
            let (last, mark) = match (fault.trigger, lasts(fault)) {
                (Some(_), _) => (WIDTH - 1, '~'),
                (None, Lasts::AtOnce) => (first, 'x'),
                (None, Lasts::For(time)) => (column(fault.at.saturating_add(nanos(time))), '='),
                (None, Lasts::UntilTheEnd) => (WIDTH - 1, '='),
            };
            for cell in line.iter_mut().take(last + 1).skip(first) {
                *cell = mark;
            }
        }
        line
    }

    /// `5.0s`, `3 times, 2.0s to 6.0s`, `waits from 1.0s on`.
    fn when(&self) -> String {
        let (Some(first), Some(last)) = (self.faults.first(), self.faults.last()) else {
            return String::new();
        };
        let times = self.faults.len();
        match (first.trigger, times) {
            (Some(_), 1) => format!("waits from {} on", seconds(first.at)),
            (Some(_), _) => format!("{times} times, waits from {} on", seconds(first.at)),
            (None, 1) => seconds(first.at),
            (None, _) => format!("{times} times, {} to {}", seconds(first.at), seconds(last.at)),
        }
    }
}

enum Lasts {
    AtOnce,
    For(Duration),
    UntilTheEnd,
}

fn lasts(fault: &PlannedFault) -> Lasts {
    match (fault.kind, fault.lasts) {
        (FaultKind::Restart { down, .. }, _) if down > Duration::from_secs(1) => Lasts::For(down),
        (FaultKind::Restart { .. } | FaultKind::Reload | FaultKind::Edit { .. }, _) => Lasts::AtOnce,
        (FaultKind::Pause(pause), _) => Lasts::For(pause),
        (FaultKind::Stall { length, .. }, _) => Lasts::For(length),
        (_, Some(lasts)) => Lasts::For(lasts),
        (_, None) => Lasts::UntilTheEnd,
    }
}

/// Where the line ends: with the run, if that is known, else with the last that is.
fn end(plan: &Plan) -> Nanos {
    let last_fault = plan.faults.iter().map(|fault| match lasts(fault) {
        Lasts::For(time) => fault.at.saturating_add(nanos(time)),
        _ => fault.at,
    });
    let last_fault = last_fault.max().unwrap_or_default();
    let last_arrival = plan.arriving().map(|(_, client)| client.intended).max().unwrap_or_default();
    match (plan.duration, plan.after_faults) {
        (Some(duration), _) => nanos(duration),
        (None, Some(after)) => last_fault.saturating_add(nanos(after)),
        (None, None) => last_fault.max(last_arrival).saturating_add(1),
    }
}

fn nanos(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}

fn seconds(at: Nanos) -> String {
    format!("{:.1}s", at as f64 / 1e9)
}
