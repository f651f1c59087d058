//! Sockets without connect, by address.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::plan::Nanos;

/// How many sockets of each address were open at most, without connect, while another one of its was.
#[derive(Debug, Default)]
pub(in crate::oracle) struct Sockets(HashMap<IpAddr, Spans>);

/// Starts and ends of the sockets of one address, each sorted.
#[derive(Debug, Default)]
struct Spans {
    starts: Vec<Nanos>,
    ends: Vec<Nanos>,
}

impl Sockets {
    pub(in crate::oracle) fn new(spans: impl Iterator<Item = (IpAddr, Nanos, Nanos)>) -> Self {
        let mut sockets = Self::default();
        for (address, from, until) in spans {
            let spans = sockets.0.entry(address).or_default();
            spans.starts.push(from);
            spans.ends.push(until);
        }
        for spans in sockets.0.values_mut() {
            spans.starts.sort_unstable();
            spans.ends.sort_unstable();
        }
        sockets
    }

    /// The most there can have been between the two times, this one included.
    pub(in crate::oracle) fn at_most(&self, address: IpAddr, from: Nanos, until: Nanos) -> usize {
        self.0.get(&address).map_or(0, |spans| {
            let begun = spans.starts.partition_point(|start| *start <= until);
            begun.saturating_sub(spans.ends.partition_point(|end| *end < from))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_counted_while_they_overlap() {
        let address = IpAddr::from([127, 0, 0, 1]);
        let sockets = Sockets::new(
            [(0, 10), (5, 20), (30, 40)].into_iter().map(|(from, until)| (address, from, until)),
        );
        assert_eq!(sockets.at_most(address, 5, 10), 2);
        assert_eq!(sockets.at_most(address, 25, 29), 0);
        assert_eq!(sockets.at_most(address, 0, 40), 3);
    }
}
