//! What ends a refusal, by cause and release: exact commands, the least intrusive first (the founding article, "Debugging
//! order": deleting pairing state is nowhere among them).

use protocol::ProfileName;

use super::answer::Cure;
use super::case::{Case, refusal};
use crate::vocabulary::cause::Cause;

/// What is filled into commands, and which release they are for.
struct Facts<'a> {
    release: Option<ProfileName>,
    device: String,
    request: String,
    role: &'a str,
    asked: Vec<&'a str>,
    peer: String,
    origin: String,
}

/// The fix for a pairing reason, in one line; `None` = not one of the four.
#[must_use]
pub fn of_reason(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "not-paired" => "approve the device: `devices list`, then `devices approve ID`",
        "scope-upgrade" => "approve the wider scopes, or rotate the token to include them",
        "role-upgrade" => "rotate the device to the role it asks for",
        "metadata-upgrade" => "restart the gateway once and reconnect, so that it repairs the entry",
        _ => return None,
    })
}

/// The cures of a cause for one client, the least intrusive first.
pub(super) fn cures(cause: Cause, case: &Case<'_>) -> Vec<Cure> {
    let facts = Facts::of(case);
    let release = facts.release;
    match cause {
        Cause::WrongUrl => vec![
            cure(
                "See whether the gateway runs, and at which address and port.",
                &["openclaw gateway status"],
            ),
            cure("If it does not run, start it.", &["openclaw gateway start"]),
            cure("If it runs, correct the client's URL.", &["openclaw config get gateway.port"]),
        ],
        Cause::GatewayStarting => vec![
            cure("Wait until it serves; clients that try again get in.", &["openclaw gateway status"]),
            cure("If it never does, see why.", &["openclaw logs --follow"]),
        ],
        Cause::ProtocolMismatch => vec![cure(
            "Bring client and gateway to the same release; reload pages of the control UI.",
            &["openclaw --version", "openclaw update"],
        )],
        Cause::ClockSkew => {
            vec![cure("Set the clock of the client's machine by NTP.", &["timedatectl set-ntp true"])]
        }
        Cause::BrokenHandshake => vec![cure(
            "Update the client: it must wait for `connect.challenge`, sign its nonce with its own key, and send what the release \
             knows. Approving changes nothing.",
            &["openclaw logs --follow"],
        )],
        Cause::HandshakeTimeout => timeout(release),
        Cause::SocketBudget => vec![
            cure(
                "If the clients come through a proxy, let the gateway see their own addresses.",
                &[&format!("openclaw config set gateway.trustedProxies '[\"{}\"]'", facts.peer), RESTART],
            ),
            cure(
                "If they really share an address, raise the budget in the gateway's environment.",
                &["export OPENCLAW_MAX_PREAUTH_CONNECTIONS_PER_IP=256", RESTART],
            ),
        ],
        Cause::ProxyAttribution | Cause::UntrustedProxy => proxy(&facts),
        Cause::CidrIgnored => vec![cure(
            "Write the proxy's exact address instead of the range, and restart the gateway.",
            &[&format!("openclaw config set gateway.trustedProxies '[\"{}\"]'", facts.peer), RESTART],
        )],
        Cause::Origin => vec![cure(
            "Open the page from the gateway's own address, or allow its exact origin.",
            &[
                &format!("openclaw config set gateway.controlUi.allowedOrigins '[\"{}\"]'", facts.origin),
                RESTART,
            ],
        )],
        Cause::InsecureContext => vec![cure(
            "Open the control UI over HTTPS, or over a tunnel as localhost.",
            &["ssh -N -L 18789:127.0.0.1:18789 <GATEWAY_HOST>", "xdg-open http://localhost:18789/"],
        )],
        Cause::TokenDrift => drift(),
        Cause::StaleDeviceToken => stale(&facts),
        Cause::BootstrapSpent => {
            vec![cure("Make a new setup code and use it once, within ten minutes.", &["openclaw qr"])]
        }
        Cause::RateLimitedNeighbour => vec![
            cure(
                "Find who presents wrong credentials from this address, and correct it; the lock-out ends by itself (five minutes \
                 by default).",
                &["openclaw logs --follow"],
            ),
            cure(
                "If the address is a proxy's, let the gateway tell its clients apart.",
                &[&format!("openclaw config set gateway.trustedProxies '[\"{}\"]'", facts.peer), RESTART],
            ),
        ],
        Cause::NotApproved => vec![approve(&facts)],
        Cause::ApprovedElsewhere => vec![
            cure(
                "Run the commands where the gateway runs: in its container, as its user, with its state directory.",
                &["docker exec <GATEWAY_CONTAINER> openclaw devices list"],
            ),
            cure(
                "Or name the gateway's state directory.",
                &[
                    "OPENCLAW_STATE_DIR=<STATE_DIR_OF_THE_GATEWAY> openclaw devices list",
                    &format!(
                        "OPENCLAW_STATE_DIR=<STATE_DIR_OF_THE_GATEWAY> openclaw devices approve {}",
                        facts.request
                    ),
                ],
            ),
        ],
        Cause::PausedClient => vec![cure(
            "Start the client again: reload the page, restart the node.",
            &["openclaw node restart"],
        )],
        Cause::ScopeLadder | Cause::NarrowRotation | Cause::ReadOnlyPoisoned => scopes(cause, &facts),
        Cause::Role => {
            vec![approve(&facts), cure("Then start the client again.", &["openclaw devices list"])]
        }
        Cause::MetadataPin if release == Some(ProfileName::Article) => vec![
            approve(&facts),
            cure("An entry without metadata is repaired by a restart and a reconnect.", &[RESTART]),
        ],
        Cause::MetadataPin => vec![approve(&facts)],
        Cause::LostStore => vec![
            approve(&facts),
            cure("Then keep the state directory: put it on a volume.", &[volume(release)]),
        ],
        Cause::CannotTell => {
            vec![cure("Look at what the gateway says while a client tries.", &["openclaw logs --follow"])]
        }
    }
}

const RESTART: &str = "openclaw gateway restart";

fn cure(what: &str, commands: &[&str]) -> Cure {
    Cure { what: what.to_owned(), commands: commands.iter().map(|command| (*command).to_owned()).collect() }
}

/// Where a release keeps its devices.
const fn volume(release: Option<ProfileName>) -> &'static str {
    match release {
        Some(ProfileName::V2026_9_6) => "docker run -v openclaw-state:/home/node/.openclaw <IMAGE>",
        _ => "docker run -v openclaw-devices:/home/node/.openclaw/devices <IMAGE>",
    }
}

fn approve(facts: &Facts<'_>) -> Cure {
    let id = format!("openclaw devices approve {}", facts.request);
    cure("Approve the device's request, on the gateway's host.", &["openclaw devices list", &id])
}

fn timeout(release: Option<ProfileName>) -> Vec<Cure> {
    let mut cures = Vec::new();
    if matches!(release, Some(ProfileName::V2026_3_13 | ProfileName::V2026_9_6)) {
        cures.push(cure(
            "Give clients more time, in the gateway's environment.",
            &["export OPENCLAW_HANDSHAKE_TIMEOUT_MS=30000", RESTART],
        ));
    }
    cures.push(cure(
        "Find out what keeps the gateway's process busy.",
        &["openclaw gateway status", "openclaw logs --follow"],
    ));
    cures
}

fn proxy(facts: &Facts<'_>) -> Vec<Cure> {
    let set = format!("openclaw config set gateway.trustedProxies '[\"{}\"]'", facts.peer);
    vec![
        cure("Trust the proxy by its exact address, and restart the gateway.", &[&set, RESTART]),
        cure(
            "A remote client still has to be approved once, where the gateway runs.",
            &["openclaw devices list", &format!("openclaw devices approve {}", facts.request)],
        ),
    ]
}

fn drift() -> Vec<Cure> {
    vec![
        cure("See which tokens differ.", &["openclaw doctor", "openclaw config get gateway.auth.token"]),
        cure("Give the client the gateway's token.", &["openclaw config set gateway.remote.token <TOKEN>"]),
        cure(
            "If the gateway's service carries an old one, write the service anew.",
            &["openclaw gateway install --force", RESTART],
        ),
    ]
}

fn stale(facts: &Facts<'_>) -> Vec<Cure> {
    let mut cures = Vec::new();
    if facts.release != Some(ProfileName::V2026_9_6) {
        // The command prints the new token; 2026.9.6 gives it to the device alone.
        cures.push(cure(
            "Rotate the device's token and give the client the new one.",
            &[&format!("openclaw devices rotate --device {} --role {}", facts.device, facts.role)],
        ));
    }
    cures.push(cure(
        "Or let it pair anew: remove the device, let the client connect with the shared token, and approve it.",
        &[
            &format!("openclaw devices remove {}", facts.device),
            "openclaw devices list",
            "openclaw devices approve <REQUEST_ID>",
        ],
    ));
    cures
}

fn scopes(cause: Cause, facts: &Facts<'_>) -> Vec<Cure> {
    let mut wanted: Vec<&str> = facts.asked.clone();
    if cause == Cause::ReadOnlyPoisoned {
        wanted.push("operator.read");
    }
    wanted.sort_unstable();
    wanted.dedup();
    let scopes: Vec<String> = wanted.iter().map(|scope| format!(" --scope {scope}")).collect();
    let rotate =
        format!("openclaw devices rotate --device {} --role {}{}", facts.device, facts.role, scopes.concat());
    let rotate =
        |what: &str| cure(what, &["openclaw devices list --json", &rotate, RESTART, "openclaw health"]);
    match (cause, facts.release) {
        // Their rotation widens what a device holds.
        (Cause::NarrowRotation, Some(ProfileName::Article | ProfileName::V2026_2_19)) => {
            vec![rotate("Rotate once more, with everything that the client asks.")]
        }
        (_, Some(ProfileName::Article | ProfileName::V2026_2_19)) => {
            vec![approve(facts), rotate("If it asks again, rotate the token to all that the client asks.")]
        }
        (Cause::NarrowRotation, _) => vec![
            rotate(
                "Rotate once more, with everything that the client asks; this release grants only what was approved before.",
            ),
            approve(facts),
        ],
        // Rotating beyond what was approved is refused.
        _ => vec![approve(facts)],
    }
}

impl<'a> Facts<'a> {
    fn of(case: &Case<'a>) -> Self {
        let last = case.last();
        let request = case.streak.iter().rev().find_map(|attempt| refusal(attempt)?.request_id.clone());
        let origin = last.and_then(|attempt| attempt.origin.clone()).flatten();
        Self {
            release: case.gateway.release,
            device: case.client.device_id.clone().unwrap_or_else(|| "<DEVICE_ID>".to_owned()),
            request: request.unwrap_or_else(|| "<REQUEST_ID>".to_owned()),
            role: last.and_then(|attempt| attempt.role.as_deref()).unwrap_or("operator"),
            asked: last
                .and_then(|attempt| attempt.scopes.as_deref())
                .unwrap_or_default()
                .iter()
                .map(String::as_str)
                .collect(),
            peer: last
                .and_then(|attempt| attempt.peer)
                .map_or_else(|| "<PROXY_ADDRESS>".to_owned(), |peer| peer.to_string()),
            origin: origin.unwrap_or_else(|| "<ORIGIN>".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::PairingReason;

    use super::*;

    #[test]
    fn every_pairing_reason_has_a_cure() {
        for reason in PairingReason::ALL {
            assert!(of_reason(reason.as_str()).is_some(), "{reason}");
        }
        assert_eq!(of_reason("AUTH_TOKEN_MISMATCH"), None);
    }
}
