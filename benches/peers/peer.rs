//! Who is compared, how long each runs, and what is known of each that no run shows.

use std::time::Duration;

use serde::Serialize;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    /// Fixed bytes, no signature: what every ratio is taken to.
    Floor,
    /// This project's engine.
    Pairstorm,
    /// Node.js with the package `ws`, written by hand.
    NodeWs,
    /// Artillery's engine `ws`.
    Artillery,
    /// Locust with websocket-client.
    Locust,
    /// tsung's `ts_websocket`.
    Tsung,
    /// k6.
    K6,
}

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Length {
    /// So many handshakes, one following another.
    Handshakes(u64),
    /// One following another for so long.
    For(Duration),
    /// Arrivals at a rate for so long. A tool that cannot keep up takes longer.
    Arrivals {
        /// Arrivals a second.
        rate: u32,
        /// Whole seconds.
        seconds: u32,
    },
}

/// What a tool can say, as far as runs do not show it. `README.md` says how each was found out.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Expresses {
    /// Whether it tells with which code a gateway closed on who was refused. None: as the run shows.
    pub(crate) close_code: Option<&'static str>,
    /// Arrivals that do not wait for the gateway.
    pub(crate) open_arrivals: &'static str,
    /// Latency from the time at which a handshake should have begun.
    pub(crate) intended_start: &'static str,
}

impl Peer {
    /// All, in the order of a round.
    pub(crate) const ALL: [Self; 7] =
        [Self::Floor, Self::Pairstorm, Self::NodeWs, Self::Artillery, Self::Locust, Self::Tsung, Self::K6];

    /// Name on the command line and in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Pairstorm => "pairstorm",
            Self::NodeWs => "node-ws",
            Self::Artillery => "artillery",
            Self::Locust => "locust",
            Self::Tsung => "tsung",
            Self::K6 => "k6",
        }
    }

    /// Short and long run. The difference takes one core for two to five seconds.
    pub(crate) const fn lengths(self) -> (Length, Length) {
        match self {
            Self::Floor | Self::Pairstorm => (Length::Handshakes(6_400), Length::Handshakes(48_000)),
            Self::NodeWs | Self::K6 => (Length::Handshakes(3_200), Length::Handshakes(16_000)),
            // Close to the most that each can do here: below it the two spin for want of work, which would count.
            Self::Artillery => {
                (Length::Arrivals { rate: 3_000, seconds: 1 }, Length::Arrivals { rate: 3_000, seconds: 4 })
            }
            Self::Tsung => {
                (Length::Arrivals { rate: 1_500, seconds: 2 }, Length::Arrivals { rate: 1_500, seconds: 6 })
            }
            Self::Locust => (Length::For(Duration::from_secs(2)), Length::For(Duration::from_secs(7))),
        }
    }

    /// A run that only shows what a tool can do.
    pub(crate) const fn glance(self) -> Length {
        match self {
            Self::Floor | Self::Pairstorm | Self::NodeWs | Self::K6 => Length::Handshakes(320),
            Self::Locust => Length::For(Duration::from_secs(2)),
            Self::Artillery | Self::Tsung => Length::Arrivals { rate: 100, seconds: 2 },
        }
    }

    /// What no run shows.
    pub(crate) const fn expresses(self) -> Expresses {
        const OWN_ATTEMPT: &str = "no: from the start of its own attempt";
        let (close_code, open_arrivals, intended_start) = match self {
            Self::Floor => (Some("no: it counts bytes"), "no", "no"),
            Self::Pairstorm => (Some("each, by the oracle"), "yes", "yes, beside service time and lag"),
            Self::NodeWs => (None, "by hand", "by hand"),
            Self::Artillery => (None, "yes, but late ones start late, unsaid", OWN_ATTEMPT),
            Self::Locust => (None, "no: users in a loop", OWN_ATTEMPT),
            Self::Tsung => (None, "yes, Poisson or listed", OWN_ATTEMPT),
            Self::K6 => (None, "not tried", "not tried"),
        };
        Expresses { close_code, open_arrivals, intended_start }
    }
}
