//! How often a probe may knock: the one place that counts.

/// Connections that one probe makes at most, whatever for: looking and connecting alike.
pub const CONNECTIONS_MAX: u8 = 5;

/// What is left of [`CONNECTIONS_MAX`].
#[derive(Debug, Default)]
pub struct Budget {
    used: u8,
    connects: u8,
}

/// Leave to open one connection; a dial takes it by value, so that none is used twice.
#[derive(Debug)]
pub struct Leave(());

impl Budget {
    /// Leave for one more connection, if any is left.
    pub const fn take(&mut self) -> Option<Leave> {
        if self.used >= CONNECTIONS_MAX {
            return None;
        }
        self.used += 1;
        Some(Leave(()))
    }

    /// A `connect` was sent on one of them.
    pub const fn connected(&mut self) {
        self.connects += 1;
    }

    /// Connections so far.
    #[must_use]
    pub const fn used(&self) -> u8 {
        self.used
    }

    /// On how many of them a `connect` was sent.
    #[must_use]
    pub const fn connects(&self) -> u8 {
        self.connects
    }

    /// Whether another one is allowed.
    #[must_use]
    pub const fn is_left(&self) -> bool {
        self.used < CONNECTIONS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_connection_is_refused() {
        let mut budget = Budget::default();
        for used in 1..=CONNECTIONS_MAX {
            assert!(budget.is_left());
            assert!(budget.take().is_some());
            assert_eq!(budget.used(), used);
        }
        assert!(budget.take().is_none() && !budget.is_left());
        assert_eq!(budget.used(), CONNECTIONS_MAX);
    }
}
