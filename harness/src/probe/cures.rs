//! What to type, for the release at hand. The least intrusive first; nothing here deletes what is paired.

use protocol::ProfileName;
use protocol::scope::{READ, WRITE};

use super::conclusion::rotation_widens;
use super::holdings;
use super::pointed::Pointed;
use super::release::Told;
use super::seen::{Look, Seen};
use super::store::StoreForm;
use crate::diagnosis::Cure;
use crate::observation::Outcome;
use crate::vocabulary::cause::Cause;

fn cure(what: &str, commands: &[&str]) -> Cure {
    Cure { what: what.to_owned(), commands: commands.iter().map(|&command| command.to_owned()).collect() }
}

/// What ends a cause.
pub(super) fn of(cause: Cause, pointed: &Pointed, seen: &Seen, told: &Told) -> Vec<Cure> {
    let device = pointed.device_id().unwrap_or("<DEVICE_ID>");
    let restart = "openclaw gateway restart";
    match cause {
        Cause::WrongUrl => vec![cure(
            "See whether the gateway runs, and on which port; then use that URL.",
            &["openclaw gateway status", "openclaw config get gateway.port"],
        )],
        Cause::GatewayStarting => {
            vec![cure("Wait until it serves, then connect again.", &["openclaw gateway status"])]
        }
        Cause::ProtocolMismatch => {
            vec![cure(
                "Bring client and gateway to the same release.",
                &["openclaw --version", "openclaw update"],
            )]
        }
        Cause::ClockSkew => vec![cure("Set the clocks of both machines.", &["timedatectl status"])],
        Cause::HandshakeTimeout => vec![
            cure(
                "See what the gateway is busy with.",
                &["openclaw logs --follow", "openclaw gateway status"],
            ),
            cure("If it stays blocked, restart it.", &[restart]),
        ],
        Cause::SocketBudget => vec![cure(
            "Stop whatever at this address opens sockets and does not connect; behind a proxy, let the gateway tell its clients apart \
             (gateway.trustedProxies).",
            &["openclaw logs --follow"],
        )],
        Cause::ProxyAttribution | Cause::UntrustedProxy | Cause::CidrIgnored => vec![cure(
            "List the proxy's own address, exactly as the gateway sees it, and let the proxy overwrite X-Forwarded-For.",
            &[
                "openclaw config get gateway.trustedProxies",
                "openclaw config set gateway.trustedProxies '[\"<PROXY_ADDRESS>\"]'",
                restart,
            ],
        )],
        Cause::Origin => {
            let origin = pointed.origin.as_deref().unwrap_or("<ORIGIN>");
            vec![Cure {
                what: "Allow exactly this origin: scheme, host and port, without a path.".to_owned(),
                commands: vec![
                    format!(
                        "openclaw config set gateway.controlUi.allowedOrigins '[\"{}\"]'",
                        super::seen::clean(origin)
                    ),
                    restart.to_owned(),
                ],
            }]
        }
        Cause::InsecureContext => vec![cure(
            "Open the page over https, or from the gateway's own machine, or through a tunnel to it.",
            &["ssh -N -L 18789:127.0.0.1:18789 <GATEWAY_HOST>"],
        )],
        Cause::TokenDrift => vec![
            cure(
                "Give the client the token that the gateway runs with. `doctor` shows whether its service still runs with an older one.",
                &["openclaw doctor", "openclaw config get gateway.auth.mode"],
            ),
            cure("Then restart the gateway, so that file and process agree.", &[restart]),
        ],
        Cause::StaleDeviceToken => stale(device, pointed, told),
        Cause::BootstrapSpent => vec![cure("Make a new setup code.", &["openclaw qr"])],
        Cause::RateLimitedNeighbour => vec![cure(
            "Find who at this address presents a wrong credential, stop it, and wait.",
            &["openclaw logs --follow"],
        )],
        Cause::NotApproved => vec![approve(pointed, seen, told)],
        Cause::ApprovedElsewhere => vec![
            cure(
                "Run the commands where the gateway runs (in Docker: in its container), so that they use its state directory.",
                &["openclaw gateway status", "openclaw devices list"],
            ),
            cure("If it is the right one, let the gateway read it again.", &[restart]),
        ],
        Cause::PausedClient => vec![cure("Start the client again.", &["openclaw node restart"])],
        Cause::NarrowRotation | Cause::ReadOnlyPoisoned | Cause::ScopeLadder => {
            widen(device, pointed, seen, told)
        }
        Cause::Role => vec![approve(pointed, seen, told)],
        Cause::MetadataPin => {
            let mut cures = vec![approve(pointed, seen, told)];
            if told.profile == Some(ProfileName::Article) {
                cures.push(cure(
                    "An entry without metadata is repaired by a restart and a reconnect.",
                    &[restart],
                ));
            }
            cures
        }
        Cause::LostStore => vec![
            cure(
                "Put back the store from a backup while the gateway is stopped.",
                &["openclaw gateway stop", "openclaw gateway start"],
            ),
            cure(
                "Without one, approve the devices again, and keep the state directory on a volume.",
                &["openclaw devices list"],
            ),
        ],
        Cause::CannotTell if seen.certificate.as_ref().is_some_and(|shown| shown.refused.is_some()) => {
            vec![cure(
                "On the gateway's machine, see whether the fingerprint is that of its certificate.",
                &["openssl x509 -in <CERTIFICATE> -noout -fingerprint -sha256"],
            )]
        }
        Cause::BrokenHandshake | Cause::CannotTell => {
            vec![cure(
                "Read the gateway's log during a failed connect; it names the reason.",
                &["openclaw logs --follow"],
            )]
        }
    }
}

/// The id of the request that this device has waiting, from the answer or the store.
fn request_id(pointed: &Pointed, seen: &Seen) -> Option<String> {
    let told = seen.answers().into_iter().find_map(|(look, answer)| {
        match &answer.as_ref()?.as_ref().ok()?.outcome {
            Outcome::Refused(refusal) if matches!(look, Look::Device | Look::NewDevice) => {
                refusal.request_id.clone()
            }
            _ => None,
        }
    });
    let waiting = || pointed.store.as_ref()?.waiting.first().map(|waiting| waiting.request_id.clone());
    told.or_else(waiting).filter(|id| is_plain(id))
}

/// Whether a peer's text may stand in a command that somebody copies.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 80
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn approve(pointed: &Pointed, seen: &Seen, told: &Told) -> Cure {
    let id = request_id(pointed, seen);
    let what = match (&id, told.profile) {
        (Some(_), Some(ProfileName::V2026_9_6)) => {
            "On the gateway's machine, look at the request and approve it by its id (`--latest` only shows it on this release)."
        }
        (Some(_), _) => "On the gateway's machine, look at the request and approve it.",
        (None, _) => {
            "Let the client try once more, so that its request waits, and approve it on the gateway's machine within five minutes."
        }
    };
    Cure {
        what: what.to_owned(),
        commands: vec![
            "openclaw devices list".to_owned(),
            format!("openclaw devices approve {}", id.as_deref().unwrap_or("<REQUEST_ID>")),
        ],
    }
}

fn stale(device: &str, pointed: &Pointed, told: &Told) -> Vec<Cure> {
    let mut cures = Vec::new();
    if told.profile.is_none_or(|profile| profile != ProfileName::V2026_9_6) {
        cures.push(Cure {
            what: "With the shared token the client gets its device token anew; else issue one.".to_owned(),
            commands: vec![format!("openclaw devices rotate --device {device} --role {}", pointed.role)],
        });
    }
    cures.push(cure(
        "Let the client connect once with the shared token, and approve it if it has to ask.",
        &["openclaw devices list", "openclaw devices approve <REQUEST_ID>"],
    ));
    cures
}

fn widen(device: &str, pointed: &Pointed, seen: &Seen, told: &Told) -> Vec<Cure> {
    let mut scopes = holdings::held(pointed, seen).unwrap_or_default();
    scopes.extend(holdings::asked(pointed).unwrap_or_else(|| vec![READ.to_owned(), WRITE.to_owned()]));
    scopes.sort();
    scopes.dedup();
    let flags: String =
        scopes.iter().filter(|scope| is_plain(scope)).map(|scope| format!(" --scope {scope}")).collect();
    let rotate = Cure {
        what: "Rotate the device's token to everything that it needs at once.".to_owned(),
        commands: vec![
            format!("openclaw devices rotate --device {device} --role {}{flags}", pointed.role),
            "openclaw gateway restart".to_owned(),
            "openclaw health".to_owned(),
        ],
    };
    let approve = approve(pointed, seen, told);
    let by_hand = by_hand(pointed, told);
    if rotation_widens(told) {
        return [rotate, approve].into_iter().chain(by_hand).collect();
    }
    let approved = pointed.store.as_ref().and_then(|store| store.entry.as_ref()).is_some_and(|entry| {
        let approved = entry.approved_scopes.as_ref().unwrap_or(&entry.scopes);
        scopes.iter().all(|scope| approved.contains(scope))
    });
    // From 2026.2.21 on a rotation gives no more than what was approved.
    let first = if approved { vec![rotate, approve] } else { vec![approve] };
    first.into_iter().chain(by_hand).collect()
}

/// Where the command line itself is the device that is too narrow, nobody is left to approve it. Tried on a real 2026.2.19.
fn by_hand(pointed: &Pointed, told: &Told) -> Option<Cure> {
    let in_files = match &pointed.store {
        Some(store) => store.form == StoreForm::Json,
        None => told.profile.is_some_and(|profile| profile != ProfileName::V2026_9_6),
    };
    in_files.then(|| {
        cure(
            "If `openclaw devices` is refused as well, break the glass: add the scopes to `scopes` of this device's entry (and to \
             `approvedScopes`, where it is there) in devices/paired.json, keep a copy, and let the gateway read it.",
            &["openclaw gateway restart"],
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_texts_go_into_commands() {
        assert!(is_plain("8d243b86-81b1-4645-b268-bcea870ea0f9") && is_plain("operator.read"));
        for text in ["", "-rf", "a b", "$(x)", "a;b", "a\nb", "\u{1b}[2J", &"a".repeat(81)] {
            assert!(!is_plain(text), "{text:?}");
        }
    }
}
