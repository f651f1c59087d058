//! Which request `devices approve --latest` means. Releases differ (shared reference, section 13).

use protocol::ProfileName;
use protocol::pairing::PendingRequest;

/// What the command makes of those that wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice<'l> {
    /// This one is approved. 2026.9.6 shows it first and wants to be asked again with its id.
    One(&'l PendingRequest),
    /// Several wait, and the release approves none of them.
    Several,
    /// Nobody waits.
    Nobody,
}

/// Chooses among the requests in the order of the list.
#[must_use]
pub fn choose(pending: &[PendingRequest], release: ProfileName) -> Choice<'_> {
    // Of several with the same time the one listed last.
    match pending.iter().max_by_key(|request| request.ts) {
        None => Choice::Nobody,
        Some(_) if release == ProfileName::Article && pending.len() > 1 => Choice::Several,
        Some(newest) => Choice::One(newest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_two_wait_releases_take_the_newest_and_the_article_none() {
        let request = |id: &str, ts: u64| -> PendingRequest {
            serde_json::from_value(serde_json::json!({
                "requestId": id, "deviceId": id, "publicKey": "k", "roles": [], "scopes": [], "silent": false, "isRepair": false,
                "ts": ts
            }))
            .unwrap()
        };
        let two = [request("old", 5), request("new", 9), request("older", 1)];
        assert_eq!(choose(&two, ProfileName::V2026_3_13), Choice::One(&two[1]));
        assert_eq!(choose(&two, ProfileName::Article), Choice::Several);
        assert_eq!(choose(&two[..1], ProfileName::Article), Choice::One(&two[0]));
        assert_eq!(choose(&[], ProfileName::V2026_9_6), Choice::Nobody);
    }
}
