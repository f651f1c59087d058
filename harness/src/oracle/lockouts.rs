//! Whose failed credentials lock out, under which configuration (reference, section 7.1).

/// Whose failed credentials lock out, and which count (reference, section 7.1; [`RateLimit`] says how many).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockouts {
    /// `gateway.auth.rateLimit` is known.
    pub configurable: bool,
    /// Who is locked out without it.
    pub by_default: Unconfigured,
    /// A missing secret counts as a wrong one does. Else only a wrong one does.
    pub missing_counts: bool,
    /// A wrong secret counts although something is tried as the device's token, which counts, too; a right one that is locked
    /// out is tried as such; and nobody who sends no secret is told of a lock-out. Else what is tried as the device's token
    /// counts as that alone.
    pub counts_both: bool,
    /// Pages on this machine are counted by their origin, else all together.
    pub by_origin: bool,
}

/// Who is locked out by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unconfigured {
    /// Nobody. Pages count among the failures of their address.
    Nobody,
    /// Pages, that is who sends an `Origin`. They are counted apart, and are never exempt.
    Pages,
    /// Everybody, pages apart.
    Everybody,
}

/// What locks out under a configuration; `None`: nothing does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// By address.
    pub addresses: Option<RateLimit>,
    /// Pages, where they are counted apart.
    pub pages: Option<RateLimit>,
}

impl RateLimits {
    /// How many failures may be enough; `None`: none are.
    #[must_use]
    pub fn fewest_failures(&self) -> Option<u32> {
        let all = [self.addresses, self.pages];
        all.into_iter().flatten().map(|limit| limit.failures.max(1)).min()
    }
}

/// Failed credentials that lock out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// This many...
    pub failures: u32,
    /// ... within so many milliseconds...
    pub window_ms: u64,
    /// ... lock the address out for so many milliseconds.
    pub lockout_ms: u64,
    /// Loopback addresses are never locked out.
    pub exempt_loopback: bool,
}

impl Lockouts {
    /// Whether pages in browsers have counters of their own.
    pub(super) const fn counts_pages_apart(&self) -> bool {
        !matches!(self.by_default, Unconfigured::Nobody)
    }

    /// What locks out, as configured (`gateway.auth.rateLimit`) or by default.
    #[must_use]
    pub fn limits_in(&self, config: &serde_json::Value) -> RateLimits {
        let usual = RateLimit { failures: 10, window_ms: 60_000, lockout_ms: 300_000, exempt_loopback: true };
        let table = config.get("gateway").and_then(|gateway| gateway.get("auth")?.get("rateLimit"));
        let configured = table.filter(|_| self.configurable).map(|table| {
            let number = |key: &str, default: u64| {
                table.get(key).and_then(serde_json::Value::as_u64).unwrap_or(default)
            };
            let exempt = table.get("exemptLoopback").and_then(serde_json::Value::as_bool);
            RateLimit {
                failures: u32::try_from(number("maxAttempts", u64::from(usual.failures))).unwrap_or(u32::MAX),
                window_ms: number("windowMs", usual.window_ms),
                lockout_ms: number("lockoutMs", usual.lockout_ms),
                exempt_loopback: exempt.unwrap_or(usual.exempt_loopback),
            }
        });
        let or_usual = Some(configured.unwrap_or(usual));
        let (addresses, pages) = match self.by_default {
            Unconfigured::Nobody => (configured, None),
            Unconfigured::Pages => (configured, or_usual),
            Unconfigured::Everybody => (or_usual, or_usual),
        };
        let pages = pages.map(|limit| RateLimit { exempt_loopback: false, ..limit });
        RateLimits { addresses, pages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::release::Release;
    use protocol::ProfileName;

    #[test]
    fn a_configured_limit_replaces_the_default() {
        let limits = |name, config: &serde_json::Value| {
            let limits = Release::of(name).lockouts.limits_in(config);
            let told = |limit: RateLimit| (limit.failures, limit.window_ms, limit.lockout_ms);
            (limits.addresses.map(told), limits.pages.map(told))
        };
        let usual = Some((10, 60_000, 300_000));
        let three =
            serde_json::json!({"gateway": {"auth": {"rateLimit": {"maxAttempts": 3, "lockoutMs": 4000}}}});
        let told = Some((3, 60_000, 4_000));
        for (name, by_default, configured) in [
            (ProfileName::Article, (None, None), (None, None)),
            (ProfileName::V2026_2_19, (None, None), (told, None)),
            (ProfileName::V2026_3_13, (None, usual), (told, told)),
            (ProfileName::V2026_9_6, (usual, usual), (told, told)),
        ] {
            assert_eq!(limits(name, &serde_json::json!({})), by_default, "{name}");
            assert_eq!(limits(name, &three), configured, "{name}");
        }
    }
}
