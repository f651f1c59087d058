//! What cures a pairing refusal, by its reason (the founding article, "What the error means").

/// The fix for a pairing reason, in one line; `None` = not one of the four.
#[must_use]
pub fn cure(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "not-paired" => "approve the device: `devices list`, then `devices approve ID`",
        "scope-upgrade" => "approve the wider scopes, or rotate the token to include them",
        "role-upgrade" => "rotate the device to the role it asks for",
        "metadata-upgrade" => "restart the gateway once and reconnect, so that it repairs the entry",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use protocol::PairingReason;

    use super::*;

    #[test]
    fn every_pairing_reason_has_a_cure() {
        for reason in PairingReason::ALL {
            assert!(cure(reason.as_str()).is_some(), "{reason}");
        }
        assert_eq!(cure("AUTH_TOKEN_MISMATCH"), None);
    }
}
