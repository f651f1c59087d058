//! Profiles with one rule wrong: the defects that are another value in the table.

use super::{CidrEntries, ForwardedChoice, MetadataRule, Profile, RateLimitRule, ScopeCoverage, SilentRule};
use crate::defect::Defect;

/// The profile, with the rule wrong that `defect` breaks; the profile itself if the defect lies elsewhere.
#[must_use]
pub fn with_defect(profile: &'static Profile, defect: Option<Defect>) -> &'static Profile {
    let mut faulty = profile.clone();
    match defect {
        Some(Defect::AdminImpliesAll) => faulty.coverage = ScopeCoverage::AdminCoversOperator,
        Some(Defect::SilentScopeUpgrade) => faulty.silent = SilentRule::LocalNotPairedOrScope,
        Some(Defect::SkipMetadataCheck) => faulty.metadata = MetadataRule::Overwritten,
        Some(Defect::IgnoreClockSkew) => faulty.skew_ms = u64::MAX,
        Some(Defect::RateLimitOff) => faulty.rate_limit = RateLimitRule::Never,
        Some(Defect::CidrTooWide) => faulty.cidr = CidrEntries::TooWide,
        Some(Defect::LeftmostForwarded) => faulty.forwarded = ForwardedChoice::Leftmost,
        Some(Defect::RequestsNeverExpire) => faulty.pending_ttl_ms = u64::MAX,
        _ => return profile,
    }
    // Once a process, and only with a defect.
    Box::leak(Box::new(faulty))
}
