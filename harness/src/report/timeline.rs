//! The history of one device as lines of text: a bar for each operation, from its earliest to its latest time.

use super::page::Page;
use super::units::plural;
use crate::record::devices::{DeviceOperation, DeviceResult};

/// Columns of the bars.
const BAR: usize = 30;
/// Columns of who did it.
const BY: usize = 9;

/// Writes one device: why no order explains it, and what contradicts itself. At most `open_max` of the operations that were
/// left open are shown.
pub(super) fn device(page: &mut Page, device: &DeviceResult, open_max: usize) {
    page.paragraph(2, &format!("{} is {}: {}", device.client, device.verdict, device.why), 3);
    let shown = shown(device, open_max);
    let Some(scale) = Scale::over(&shown) else { return };
    page.paragraph(4, &contradicting(device), 2);
    let (from, until) = (seconds(scale.from), seconds(scale.until));
    let gap = BAR.saturating_sub(from.len() + until.len());
    page.line(&format!("    {:BY$}  {from}{:gap$}{until}", "", ""));
    for operation in shown {
        let mark = if operation.decisive { '*' } else { ' ' };
        page.line(&format!("  {mark} {:BY$} │{}│ {}", operation.by, scale.bar(operation), operation.what));
    }
}

/// The same as a text of its own, with every operation that is kept.
#[must_use]
pub(super) fn alone(of: &DeviceResult) -> String {
    let mut page = Page::default();
    device(&mut page, of, usize::MAX);
    page.finish()
}

/// How many operations contradict each other, and what became of the others.
pub(super) fn contradicting(device: &DeviceResult) -> String {
    let alone = device.decisive == 1;
    let mut text = if alone {
        "the operation marked * is explained by no order".to_owned()
    } else {
        format!("the {} operations marked * contradict each other", device.decisive)
    };
    if device.left_open > 0 {
        let whichever = plural(device.left_open, "other");
        text.push_str(&format!(", whether or not the {whichever} happened"));
    }
    if !device.shortest {
        text.push_str(" (there may be a shorter contradiction: the search gave up looking)");
    }
    text
}

/// The decisive operations, and the latest others.
pub(super) fn shown(device: &DeviceResult, open_max: usize) -> Vec<&DeviceOperation> {
    let others = device.operations.iter().filter(|operation| !operation.decisive).count();
    let mut skipped = others.saturating_sub(open_max);
    let mut shown = Vec::new();
    for operation in &device.operations {
        if !operation.decisive && skipped > 0 {
            skipped -= 1;
            continue;
        }
        shown.push(operation);
    }
    shown
}

/// From times to places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) from: u64,
    pub(super) until: u64,
}

impl Scale {
    /// Over all of these; `None` if there are none.
    pub(super) fn over(operations: &[&DeviceOperation]) -> Option<Self> {
        let from = operations.iter().map(|operation| operation.from_us).min()?;
        let until = operations.iter().map(|operation| operation.until_us).max()?;
        Some(Self { from, until: until.max(from + 1) })
    }

    /// Where a time stands, 0 to 1.
    pub(super) fn share(self, at: u64) -> f64 {
        at.saturating_sub(self.from) as f64 / (self.until - self.from).max(1) as f64
    }

    fn column(self, at: u64) -> usize {
        ((self.share(at) * (BAR - 1) as f64) as usize).min(BAR - 1)
    }

    fn bar(self, operation: &DeviceOperation) -> String {
        let (first, last) = (self.column(operation.from_us), self.column(operation.until_us));
        let inner = if operation.unanswered { '┄' } else { '─' };
        (0..BAR)
            .map(|column| match column {
                _ if column < first || column > last => ' ',
                _ if first == last => '◆',
                _ if column == first => '├',
                _ if column == last => '┤',
                _ => inner,
            })
            .collect()
    }
}

/// A time of the run in seconds, to the millisecond.
pub(super) fn seconds(micros: u64) -> String {
    format!("{}.{:03} s", micros / 1_000_000, micros / 1_000 % 1_000)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::report) fn lost_approval() -> DeviceResult {
        let operation = |by: &str, from_us, until_us, unanswered, decisive, what: &str| DeviceOperation {
            by: by.to_owned(),
            from_us,
            until_us,
            unanswered,
            decisive,
            what: what.to_owned(),
        };
        DeviceResult {
            client: "phones/3".to_owned(),
            verdict: "invalid".to_owned(),
            why: "approval of request r1 was acknowledged at 0.2 s and lost by the restart at 0.25 s"
                .to_owned(),
            shortest: true,
            decisive: 2,
            left_open: 2,
            operations: vec![
                operation(
                    "device",
                    100_000,
                    110_000,
                    false,
                    false,
                    "attempt 0: refused not-paired, request r1",
                ),
                operation("operator", 150_000, 200_000, false, true, "approval of request r1: acknowledged"),
                operation("gateway", 250_000, 900_000, false, false, "store read after SIGKILL"),
                operation(
                    "device",
                    950_000,
                    1_000_000,
                    true,
                    true,
                    "attempt 1: refused <not-paired> & \"r2\"",
                ),
            ],
        }
    }

    #[test]
    fn a_device_is_a_bar_for_each_operation() {
        let mut page = Page::default();
        device(&mut page, &lost_approval(), 1);
        insta::assert_snapshot!(page.finish(), @r#"
        phones/3 is invalid: approval of request r1 was acknowledged at 0.2 s and lost by the restart at
        0.25 s
          the 2 operations marked * contradict each other, whether or not the 2 others happened
                     0.150 s                1.000 s
        * operator  │├┤                            │ approval of request r1: acknowledged
          gateway   │   ├─────────────────────┤    │ store read after SIGKILL
        * device    │                           ├┄┤│ attempt 1: refused <not-paired> & "r2"
        "#);
    }

    #[test]
    fn one_moment_is_a_picture_too() {
        let mut alone = lost_approval();
        alone.operations.truncate(1);
        alone.operations[0].until_us = alone.operations[0].from_us;
        (alone.decisive, alone.left_open, alone.shortest) = (1, 1, false);
        let mut page = Page::default();
        device(&mut page, &alone, 5);
        insta::assert_snapshot!(page.finish(), @r"
        phones/3 is invalid: approval of request r1 was acknowledged at 0.2 s and lost by the restart at
        0.25 s
          the operation marked * is explained by no order, whether or not the 1 other happened (there may
          be a shorter contradiction: the search gave up looking)
                     0.100 s                0.100 s
          device    │◆                             │ attempt 0: refused not-paired, request r1
        ");
    }
}
