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
    /// Their turn has come, and they wait until this time for the end of another one.
    held: Vec<(Nanos, &'a PlannedFault)>,
}

impl<'a> Queue<'a> {
    pub(super) fn new(faults: &'a [PlannedFault]) -> Self {
        let mut timed: Vec<&PlannedFault> = faults.iter().collect();
        timed.sort_by_key(|fault| fault.at);
        Self { timed: timed.into(), armed: VecDeque::new(), held: Vec::new() }
    }

    /// When something is due next, if that is known.
    pub(super) fn next_at(&self) -> Option<Nanos> {
        let held = self.held.iter().map(|(until, _)| *until);
        self.timed.front().map(|fault| fault.at).into_iter().chain(held).min()
    }

    /// Lets a fault wait for the end of another one, which is then the next to be due.
    pub(super) fn hold(&mut self, fault: &'a PlannedFault, until: Nanos) {
        self.held.push((until, fault));
    }

    /// The fault whose time has come; `None` if it is one that now waits for its trigger.
    pub(super) fn due(&mut self) -> Option<&'a PlannedFault> {
        let next = self.next_at()?;
        if let Some(position) = self.held.iter().position(|(until, _)| *until == next) {
            return Some(self.held.remove(position).1);
        }
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
        self.timed.is_empty() && self.armed.is_empty() && self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::{FaultKind, Trigger};

    fn fault(name: &str, at: Nanos, trigger: Option<Trigger>) -> PlannedFault {
        PlannedFault {
            name: name.to_owned(),
            at,
            trigger,
            kind: FaultKind::Reload,
            lasts: None,
            change: None,
            edit: None,
        }
    }

    #[test]
    fn a_fault_that_was_held_up_is_due_when_the_other_is_over() {
        let approval = Some(Trigger::Approval { after: Duration::ZERO });
        let faults = [fault("a", 1, None), fault("b", 0, approval), fault("c", 5, None)];
        let mut queue = Queue::new(&faults);
        assert_eq!(queue.due(), None);
        let triggered = queue.triggered().unwrap();
        queue.hold(triggered, 7);
        let due = queue.due().unwrap();
        queue.hold(due, 3);
        let next = |queue: &mut Queue<'_>| (queue.next_at(), queue.due().map(|fault| fault.name.clone()));
        assert_eq!(next(&mut queue), (Some(3), Some("a".to_owned())));
        assert_eq!(next(&mut queue), (Some(5), Some("c".to_owned())));
        assert!(!queue.is_empty());
        // It does not wait for another approval.
        assert_eq!(next(&mut queue), (Some(7), Some("b".to_owned())));
        assert!(queue.is_empty());
    }

    #[test]
    fn a_fault_with_a_trigger_holds_nobody_up() {
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
