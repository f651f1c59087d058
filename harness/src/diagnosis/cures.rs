//! What ends a refusal, by cause and release: exact commands, the least intrusive first (the founding article, "Debugging
//! order": deleting pairing state is nowhere among them).

use protocol::ProfileName;

use super::answer::Cure;
use super::case::{Case, refusal};
use super::release;
use crate::vocabulary::cause::Cause;

/// What is filled into commands, and which release they are for. What is not known, or could be more than a word to a shell, is left
/// to whoever types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The release.
    pub release: Option<ProfileName>,
    /// The device's id.
    pub device: Option<String>,
    /// The id of the request that it has waiting.
    pub request: Option<String>,
    /// The role that it asks; absent = `operator`.
    pub role: Option<String>,
    /// Scopes that it is to hold: those that it has and those that its client asks.
    pub wanted: Vec<String>,
    /// All of them were approved before, so that only the token is too narrow.
    pub are_approved: bool,
    /// The device token that the client presents went with an entry that somebody removed.
    pub token_was_removed: bool,
    /// The proxy that it comes through, as the gateway sees it.
    pub proxy: Option<String>,
    /// The page's origin.
    pub origin: Option<String>,
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

/// The cures of a cause, the least intrusive first.
pub(crate) fn of(cause: Cause, facts: &Facts) -> Vec<Cure> {
    let release = facts.release;
    let trust = format!("openclaw config set gateway.trustedProxies '[\"{}\"]'", facts.proxy());
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
                &[&trust, RESTART],
            ),
            cure(
                "If they really share an address, raise the budget in the gateway's environment.",
                &["export OPENCLAW_MAX_PREAUTH_CONNECTIONS_PER_IP=256", RESTART],
            ),
        ],
        Cause::ProxyAttribution | Cause::UntrustedProxy => vec![
            cure("Trust the proxy by its exact address, and restart the gateway.", &[&trust, RESTART]),
            cure(
                "A remote client still has to be approved once, where the gateway runs.",
                &["openclaw devices list", &facts.approval()],
            ),
        ],
        Cause::CidrIgnored => vec![cure(
            "Write the proxy's exact address instead of the range, and restart the gateway.",
            &[&trust, RESTART],
        )],
        Cause::Origin => vec![cure(
            "Open the page from the gateway's own address, or allow its exact origin.",
            &[
                &format!("openclaw config set gateway.controlUi.allowedOrigins '[\"{}\"]'", facts.origin()),
                RESTART,
            ],
        )],
        Cause::InsecureContext => vec![cure(
            "Open the control UI over HTTPS, or over a tunnel as localhost.",
            &["ssh -N -L 18789:127.0.0.1:18789 <GATEWAY_HOST>", "xdg-open http://localhost:18789/"],
        )],
        Cause::TokenDrift => drift(),
        Cause::StaleDeviceToken => stale(facts),
        Cause::BootstrapSpent => {
            vec![cure("Make a new setup code and use it once, within ten minutes.", &["openclaw qr"])]
        }
        Cause::RateLimitedNeighbour => vec![
            cure(
                "Find who presents wrong credentials from this address, and correct it; the lock-out ends by itself (five minutes \
                 by default).",
                &["openclaw logs --follow"],
            ),
            cure("If the address is a proxy's, let the gateway tell its clients apart.", &[&trust, RESTART]),
        ],
        Cause::NotApproved if facts.token_was_removed => vec![
            cure(
                "Let the client connect with the gateway's shared token: the one that it presents went with its entry, and asks for \
                 nothing.",
                &["openclaw devices list"],
            ),
            approve(facts),
        ],
        Cause::NotApproved => vec![approve(facts)],
        Cause::ApprovedElsewhere => vec![
            cure(
                "Run the commands where the gateway runs: in its container, as its user, with its state directory.",
                &["docker exec <GATEWAY_CONTAINER> openclaw devices list"],
            ),
            cure(
                "Or name the gateway's state directory.",
                &[
                    "OPENCLAW_STATE_DIR=<STATE_DIR_OF_THE_GATEWAY> openclaw devices list",
                    &format!("OPENCLAW_STATE_DIR=<STATE_DIR_OF_THE_GATEWAY> {}", facts.approval()),
                ],
            ),
        ],
        Cause::PausedClient => vec![cure(
            "Start the client again: reload the page, restart the node.",
            &["openclaw node restart"],
        )],
        Cause::ScopeLadder | Cause::NarrowRotation | Cause::ReadOnlyPoisoned => scopes(cause, facts),
        Cause::Role => {
            vec![approve(facts), cure("Then start the client again.", &["openclaw devices list"])]
        }
        Cause::MetadataPin if release == Some(ProfileName::Article) => vec![
            approve(facts),
            cure("An entry without metadata is repaired by a restart and a reconnect.", &[RESTART]),
        ],
        Cause::MetadataPin => vec![approve(facts)],
        Cause::LostStore => vec![
            approve(facts),
            cure("Then keep the state directory: put it on a volume.", &[volume(release)]),
            cure(
                "Or put the state directory back from a backup while the gateway is stopped.",
                &["openclaw gateway stop", "openclaw gateway start"],
            ),
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

fn approve(facts: &Facts) -> Cure {
    let what = match (&facts.request(), facts.release) {
        (Some(_), Some(ProfileName::V2026_9_6)) => {
            "Approve the device's request, on the gateway's host, by its id (`--latest` only shows it on this release)."
        }
        (Some(_), _) => "Approve the device's request, on the gateway's host.",
        (None, _) => {
            "Let the client try once more, so that its request waits, and approve it on the gateway's host within five minutes."
        }
    };
    cure(what, &["openclaw devices list", &facts.approval()])
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

fn stale(facts: &Facts) -> Vec<Cure> {
    let mut cures = vec![cure(
        "Let the client connect once with the gateway's shared token, which brings it the device token that is in force; approve it if \
         it has to ask.",
        &["openclaw devices list", "openclaw devices approve <REQUEST_ID>"],
    )];
    if facts.release != Some(ProfileName::V2026_9_6) {
        // The command prints the new token; 2026.9.6 gives it to the device alone.
        cures.push(cure(
            "Or rotate the device's token and give the client the new one.",
            &[&format!("openclaw devices rotate --device {} --role {}", facts.device(), facts.role())],
        ));
    }
    cures
}

fn scopes(cause: Cause, facts: &Facts) -> Vec<Cure> {
    let mut wanted: Vec<&str> =
        facts.wanted.iter().map(String::as_str).filter(|scope| is_plain(scope)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let scopes: String = wanted.iter().map(|scope| format!(" --scope {scope}")).collect();
    let rotate =
        format!("openclaw devices rotate --device {} --role {}{scopes}", facts.device(), facts.role());
    let rotate =
        |what: &str| cure(what, &["openclaw devices list --json", &rotate, RESTART, "openclaw health"]);
    let narrow = cause == Cause::NarrowRotation;
    if release::rotation_replaces(facts.release) {
        // Their rotation widens what a device holds.
        if narrow {
            return vec![rotate("Rotate once more, with everything that the client asks.")];
        }
        return vec![
            approve(facts),
            rotate("If it asks again, rotate the token to all that the client asks."),
        ];
    }
    if narrow || facts.are_approved {
        return vec![
            rotate(
                "Rotate once more, with everything that the client asks; this release grants only what was approved before.",
            ),
            approve(facts),
        ];
    }
    // Rotating beyond what was approved is refused.
    vec![approve(facts)]
}

impl Facts {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let last = case.last();
        let held = case.held_scopes().map(|(held, _)| held).unwrap_or_default();
        let asked = case.asked_scopes().unwrap_or_default();
        Self {
            release: case.gateway.release,
            device: case.client.device_id.clone(),
            request: case.streak.iter().rev().find_map(|attempt| refusal(attempt)?.request_id.clone()),
            role: last.and_then(|attempt| attempt.role.clone()),
            wanted: held.into_iter().chain(asked.iter().cloned()).collect(),
            are_approved: false,
            token_was_removed: case.token_was_removed(),
            proxy: last.and_then(|attempt| attempt.peer).map(|peer| peer.to_string()),
            origin: last.and_then(|attempt| attempt.origin.clone()).flatten(),
        }
    }

    fn request(&self) -> Option<&str> {
        self.request.as_deref().filter(|id| is_plain(id))
    }

    fn approval(&self) -> String {
        format!("openclaw devices approve {}", self.request().unwrap_or("<REQUEST_ID>"))
    }

    fn device(&self) -> &str {
        self.device.as_deref().filter(|id| is_plain(id)).unwrap_or("<DEVICE_ID>")
    }

    fn role(&self) -> &str {
        self.role.as_deref().filter(|role| is_plain(role)).unwrap_or("operator")
    }

    fn proxy(&self) -> &str {
        self.proxy.as_deref().unwrap_or("<PROXY_ADDRESS>")
    }

    fn origin(&self) -> &str {
        let is_origin = |text: &&str| {
            text.len() <= 200 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/[]".contains(c))
        };
        self.origin.as_deref().filter(is_origin).unwrap_or("<ORIGIN>")
    }
}

/// Whether a peer's text may stand in a command that somebody copies.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 80
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use protocol::PairingReason;

    use super::*;

    #[test]
    fn only_plain_texts_go_into_commands() {
        assert!(is_plain("8d243b86-81b1-4645-b268-bcea870ea0f9") && is_plain("operator.read"));
        for text in ["", "-rf", "a b", "$(x)", "a;b", "a\nb", "\u{1b}[2J", &"a".repeat(81)] {
            assert!(!is_plain(text), "{text:?}");
        }
        let hostile = || Some("x'; rm -rf ~; '".to_owned());
        let facts = Facts {
            device: hostile(),
            request: hostile(),
            role: hostile(),
            origin: hostile(),
            ..Facts::default()
        };
        let facts = Facts { wanted: vec!["$(reboot)".to_owned()], ..facts };
        for cause in Cause::ALL {
            for cure in of(cause, &facts) {
                assert!(
                    !cure.commands.iter().any(|command| command.contains("rm -rf") || command.contains("$("))
                );
            }
        }
    }

    #[test]
    fn a_rotation_that_cures_keeps_what_the_device_holds() {
        let wanted = ["operator.write", "operator.admin"].map(str::to_owned).to_vec();
        let facts = Facts { release: Some(ProfileName::V2026_2_19), wanted, ..Facts::default() };
        let cures = of(Cause::ScopeLadder, &facts);
        let rotate = cures.iter().flat_map(|cure| &cure.commands).find(|command| command.contains("rotate"));
        assert!(rotate.unwrap().ends_with(" --scope operator.admin --scope operator.write"), "{cures:?}");
        // Later releases refuse to widen by it.
        let facts = Facts { release: Some(ProfileName::V2026_3_13), ..facts };
        assert!(!format!("{:?}", of(Cause::ScopeLadder, &facts)).contains("rotate"));
    }

    #[test]
    fn every_pairing_reason_has_a_cure() {
        for reason in PairingReason::ALL {
            assert!(of_reason(reason.as_str()).is_some(), "{reason}");
        }
        assert_eq!(of_reason("AUTH_TOKEN_MISMATCH"), None);
    }
}
