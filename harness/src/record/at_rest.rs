//! Whether the in-repo gateway came to rest once everyone had gone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::store_times::{samples, whole};

/// What the gateway's `/metrics` said after the last client and operator had gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AtRest {
    /// Connections that were upgraded and are no sessions.
    pub handshakes_in_progress: u64,
    /// Sessions.
    pub sessions: u64,
}

impl AtRest {
    /// Reads what a gateway answers at `/metrics`; `None` if it says nothing of it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let samples = samples(text);
        let of = |name: &str| samples.get(name).copied().map(whole);
        Some(Self {
            handshakes_in_progress: of("gateway_handshakes_in_progress")?,
            sessions: of("gateway_sessions")?,
        })
    }

    /// Whether something is under way, though nobody is there.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.handshakes_in_progress > 0 || self.sessions > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::exit_code::RunVerdict;
    use crate::record::test_support::busy_story;

    #[test]
    fn the_text_of_a_gateway_is_read() {
        let text = "# TYPE gateway_sessions gauge\ngateway_sessions 3\ngateway_handshakes_in_progress 1\n";
        let at_rest = AtRest::parse(text);
        assert_eq!(at_rest, Some(AtRest { handshakes_in_progress: 1, sessions: 3 }));
        assert_eq!(AtRest::parse("gateway_sessions 3\n"), None);
    }

    #[test]
    fn a_gateway_that_keeps_what_nobody_holds_violates() {
        let mut story = busy_story();
        story.judgement = Default::default();
        story.history.attempts.clear();
        let verdict = |at_rest| {
            let mut facts = story.facts.clone();
            facts.at_rest = at_rest;
            story.tally().finish(&facts).verdict
        };
        for busy in [
            AtRest { handshakes_in_progress: 1, sessions: 0 },
            AtRest { handshakes_in_progress: 0, sessions: 1 },
        ] {
            assert_eq!(verdict(Some(busy)), RunVerdict::Violated);
        }
        assert_ne!(verdict(Some(AtRest::default())), RunVerdict::Violated);
        assert_ne!(verdict(None), RunVerdict::Violated);
    }
}
