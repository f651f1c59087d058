//! Which fault is next.

use std::collections::VecDeque;

use crate::plan::{Nanos, PlannedFault};

/// Planned faults that have not begun yet.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    /// By time; those with a trigger begin to wait at theirs.
    timed: VecDeque<&'a PlannedFault>,
    /// Their time has come, and they wait for their trigger.
    armed: VecDeque<&'a PlannedFault>,
}

impl<'a> Queue<'a> {
    pub(super) fn new(faults: &'a [PlannedFault]) -> Self {
        let mut timed: Vec<&PlannedFault> = faults.iter().collect();
        timed.sort_by_key(|fault| fault.at);
        Self { timed: timed.into(), armed: VecDeque::new() }
    }

    /// When something is due next, if that is known.
    pub(super) fn next_at(&self) -> Option<Nanos> {
        self.timed.front().map(|fault| fault.at)
    }

    /// The fault whose time has come; `None` if it is one that now waits for its trigger.
    pub(super) fn due(&mut self) -> Option<&'a PlannedFault> {
        let fault = self.timed.pop_front()?;
        if fault.trigger.is_some() {
            self.armed.push_back(fault);
            return None;
        }
        Some(fault)
    }

    /// The fault that has waited longest for its trigger.
    pub(super) fn triggered(&mut self) -> Option<&'a PlannedFault> {
        self.armed.pop_front()
    }

    pub(super) fn is_armed(&self) -> bool {
        !self.armed.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.timed.is_empty() && self.armed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::{FaultKind, Trigger};

    #[test]
    fn a_fault_with_a_trigger_holds_nobody_up() {
        let fault = |name: &str, at, trigger| PlannedFault {
            name: name.to_owned(),
            at,
            trigger,
            kind: FaultKind::Reload,
            lasts: None,
            change: None,
        };
        let approval = Some(Trigger::Approval { after: Duration::ZERO });
        let faults = [fault("later", 9, None), fault("a", 0, approval), fault("b", 0, approval)];
        let mut queue = Queue::new(&faults);
        assert_eq!((queue.next_at(), queue.is_armed()), (Some(0), false));
        assert_eq!(queue.due(), None);
        assert_eq!(queue.due(), None);
        assert_eq!((queue.next_at(), queue.is_armed()), (Some(9), true));
        assert_eq!(queue.triggered().map(|fault| fault.name.as_str()), Some("a"));
        assert_eq!(queue.due().map(|fault| fault.name.as_str()), Some("later"));
        assert!(!queue.is_empty());
        assert_eq!(queue.triggered().map(|fault| fault.name.as_str()), Some("b"));
        assert!(queue.is_empty() && !queue.is_armed());
        assert_eq!((queue.due(), queue.triggered()), (None, None));
    }
}
