//! What a tool says of its own run, in the words of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a tool says of its run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Handshakes that went well.
    pub(crate) succeeded: u64,
    /// Others.
    pub(crate) failed: u64,
    /// Why, as the tool calls it.
    pub(crate) failures: BTreeMap<String, u64>,
}

/// Why what a tool said cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// Not the JSON that was expected.
    #[error("its report is no JSON of the expected shape: {0}")]
    Json(#[from] serde_json::Error),
    /// Something is not there.
    #[error("its report has no {0}")]
    Missing(&'static str),
}

/// The last line of `node/ws.mjs`.
pub(crate) fn node_ws(output: &str) -> Result<Told, Unreadable> {
    let line = output.lines().last().ok_or(Unreadable::Missing("line of JSON"))?;
    Ok(serde_json::from_str(line)?)
}

/// Artillery's file of `--output`: its counters, of which `peers.*` are ours.
pub(crate) fn artillery(file: &str) -> Result<Told, Unreadable> {
    let report: Value = serde_json::from_str(file)?;
    let counters = report.pointer("/aggregate/counters").and_then(Value::as_object);
    let counters = counters.ok_or(Unreadable::Missing("aggregate.counters"))?;
    let of = |name: &str| counters.get(name).and_then(Value::as_u64).unwrap_or(0);
    let failures = counters.iter().filter_map(|(name, count)| {
        let cause = name.strip_prefix("errors.").or_else(|| name.strip_prefix("peers."))?;
        (!matches!(cause, "succeeded" | "failed" | "closed.1000")).then_some(())?;
        Some((cause.replace('.', " "), count.as_u64()?))
    });
    Ok(Told {
        succeeded: of("peers.succeeded"),
        failed: of("vusers.failed") + of("peers.failed"),
        failures: failures.collect(),
    })
}

/// Locust's tables of `--csv`: the one of requests, whose last row is their sum, and the one of failures.
pub(crate) fn locust(stats: &str, failures: &str) -> Result<Told, Unreadable> {
    let total = stats.lines().find_map(|line| line.strip_prefix(",Aggregated,"));
    let mut columns = total.ok_or(Unreadable::Missing("aggregated row"))?.split(',');
    let mut number = || columns.next().and_then(|cell| cell.parse::<u64>().ok());
    let (Some(requests), Some(failed)) = (number(), number()) else {
        return Err(Unreadable::Missing("request count and failure count"));
    };
    // Method, name, error, occurrences, first seen, last seen. An error may hold commas.
    let causes = failures.lines().skip(1).filter_map(|line| {
        let mut from_right = line.rsplitn(4, ',');
        let occurrences = from_right.nth(2)?.parse().ok()?;
        let cause = from_right.next()?.splitn(3, ',').nth(2)?;
        Some((cause.trim_matches('"').to_owned(), occurrences))
    });
    Ok(Told { succeeded: requests.saturating_sub(failed), failed, failures: causes.collect() })
}

/// The last state of tsung's `tsung.log`: `stats: NAME SINCE_LAST TOTAL` for what it counts.
///
/// A session that ended counts whatever came of it; what went wrong is `nomatch` (a message was not what it should be) and
/// everything that begins with `error`.
pub(crate) fn tsung(log: &str) -> Result<Told, Unreadable> {
    let mut totals = BTreeMap::new();
    for line in log.lines().filter_map(|line| line.strip_prefix("stats: ")) {
        let cells: Vec<_> = line.split_whitespace().collect();
        if let [name, _, total] = cells.as_slice()
            && let Ok(total) = total.parse::<u64>()
        {
            totals.insert((*name).to_owned(), total);
        }
    }
    let ended = totals.get("finish_users_count").copied().ok_or(Unreadable::Missing("finish_users_count"))?;
    totals.retain(|name, _| name == "nomatch" || name.starts_with("error"));
    let failed = totals.values().sum();
    Ok(Told { succeeded: ended.saturating_sub(failed), failed, failures: totals })
}

impl Told {
    /// How often it names the code with which the gateway closes on who is not let in.
    pub(crate) fn refusals_by_code(&self) -> u64 {
        self.failures.iter().filter(|(cause, _)| cause.contains("1008")).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(succeeded: u64, failed: u64, failures: &[(&str, u64)]) -> Told {
        let failures = failures.iter().map(|(cause, count)| ((*cause).to_owned(), *count)).collect();
        Told { succeeded, failed, failures }
    }

    #[test]
    fn node_says_it_in_its_last_line() {
        let output =
            "(node:1) Warning: something\n{\"succeeded\":7,\"failed\":2,\"failures\":{\"closed 1008\":2}}\n";
        assert_eq!(node_ws(output).unwrap(), told(7, 2, &[("closed 1008", 2)]));
        assert_eq!(node_ws(output).unwrap().refusals_by_code(), 2);
        assert!(node_ws("").is_err());
        assert!(node_ws("Killed").is_err());
    }

    #[test]
    fn artillery_counts() {
        let good = r#"{"aggregate":{"counters":{"vusers.created":400,"peers.closed.1000":400,"peers.succeeded":400,"vusers.failed":0}}}"#;
        assert_eq!(artillery(good).unwrap(), told(400, 0, &[]));
        let refused = r#"{"aggregate":{"counters":{"errors.Failed capture or match":5,"vusers.failed":5,"peers.closed.1008":5}}}"#;
        let refused = artillery(refused).unwrap();
        assert_eq!(refused, told(0, 5, &[("Failed capture or match", 5), ("closed 1008", 5)]));
        assert_eq!(refused.refusals_by_code(), 5);
        assert!(artillery("{}").is_err());
    }

    #[test]
    fn locust_adds_up_and_names_causes() {
        let stats = "Type,Name,Request Count,Failure Count,Median Response Time\nws,handshake,1955,3,22\n,Aggregated,1955,3,22\n";
        let failures = "Method,Name,Error,Occurrences,First Seen,Last Seen\n\
                        ws,handshake,RefusedError('closed 1008'),2,2026-11-26T04:24:50Z,2026-11-26T04:24:52Z\n\
                        ws,handshake,\"OSError(1, 'x')\",1,2026-11-26T04:24:50Z,2026-11-26T04:24:52Z\n";
        let expected = told(1952, 3, &[("OSError(1, 'x')", 1), ("RefusedError('closed 1008')", 2)]);
        assert_eq!(locust(stats, failures).unwrap(), expected);
        assert!(locust("Type,Name\n", failures).is_err());
    }

    #[test]
    fn tsung_is_read_from_its_last_state() {
        let log = "# stats: dump at 1795667073\nstats: users_count 90 90\nstats: finish_users_count 80 80\nstats: nomatch 1 1\n\
                   # stats: dump at 1795667074\nstats: session 204 40.2 109.0 556.9 2.0 0 0\nstats: finish_users_count 124 204\n\
                   stats: match 612 612\nstats: nomatch 1 2\nstats: error_connect_econnrefused 3 3\n";
        let expected = told(199, 5, &[("nomatch", 2), ("error_connect_econnrefused", 3)]);
        assert_eq!(tsung(log).unwrap(), expected);
        assert!(tsung("").is_err());
    }
}
