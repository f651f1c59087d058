//! Exit codes of `pairstorm probe`: one for each cause, so that a script can tell them apart.

use crate::vocabulary::cause::Cause;

/// Somebody was let in, and no cause was found.
pub const LET_IN: u8 = 0;
/// No cause was found without a secret, which would have gone over `ws://` to another machine.
pub const KEPT_BACK: u8 = 8;
/// What was typed is a code of channel pairing and no URL.
pub const CHANNEL_CODE: u8 = 9;

/// The code of a cause; `None` = let in. 1 to 4, 64 and 130 keep what they mean for every command; a cause never has one.
#[must_use]
pub const fn of(cause: Option<Cause>) -> u8 {
    let Some(cause) = cause else { return LET_IN };
    match cause {
        Cause::WrongUrl => 10,
        Cause::GatewayStarting => 11,
        Cause::ProtocolMismatch => 12,
        Cause::ClockSkew => 13,
        Cause::BrokenHandshake => 14,
        Cause::HandshakeTimeout => 15,
        Cause::SocketBudget => 16,
        Cause::ProxyAttribution => 17,
        Cause::Origin => 18,
        Cause::InsecureContext => 19,
        Cause::TokenDrift => 20,
        Cause::StaleDeviceToken => 21,
        Cause::BootstrapSpent => 22,
        Cause::RateLimitedNeighbour => 23,
        Cause::NotApproved => 24,
        Cause::ApprovedElsewhere => 25,
        Cause::PausedClient => 26,
        Cause::NarrowRotation => 27,
        Cause::ReadOnlyPoisoned => 28,
        Cause::ScopeLadder => 29,
        Cause::Role => 30,
        Cause::MetadataPin => 31,
        Cause::CidrIgnored => 32,
        Cause::UntrustedProxy => 33,
        Cause::LostStore => 34,
        Cause::CannotTell => 40,
    }
}

/// The table for `--help`, a line a code, with a newline after each.
#[must_use]
pub fn help_table() -> String {
    let mut table = format!("  {LET_IN:<3}  let in: nothing was found that keeps a client out\n");
    table.push_str("  3    failed: the output could not be written, or TLS could not be set up\n");
    table.push_str(&format!(
        "  {KEPT_BACK:<3}  refused: a secret would have gone over ws:// to another machine\n"
    ));
    table.push_str(&format!("  {CHANNEL_CODE:<3}  a code of channel pairing, which is no gateway's URL\n"));
    for cause in Cause::ALL {
        table.push_str(&format!("  {:<3}  {cause}: {}\n", of(Some(cause)), cause.about()));
    }
    table.push_str("  64   usage: wrong arguments, or a file that cannot be read\n");
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::record::exit_code::ExitCode;

    #[test]
    fn every_cause_has_its_own_code_and_none_of_another_commands() {
        let mut codes: BTreeSet<u8> = ExitCode::ALL.map(ExitCode::code).into();
        assert!(codes.insert(CHANNEL_CODE) && codes.insert(KEPT_BACK));
        for cause in Cause::ALL {
            assert!(codes.insert(of(Some(cause))), "{cause}");
        }
    }
}
