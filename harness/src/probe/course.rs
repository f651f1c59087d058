//! What a probe looks at next. It stops at the first cause, and never takes a look that could make anything worse.

use protocol::connect::{ClientId, ClientMode};
use protocol::scope::ROLE_NODE;

use super::conclusion;
use super::pointed::Pointed;
use super::release::Told;
use super::request::{Ask, Caller, Presented};
use super::seen::{Look, Seen};
use crate::client::DeviceKey;

/// The looks in the order in which they are taken.
const ORDER: [Look; 6] =
    [Look::Health, Look::Challenge, Look::Credential, Look::Page, Look::Device, Look::NewDevice];

/// The next look; `None` when the cause is known or nothing is left that may be looked at.
#[must_use]
pub fn next(pointed: &Pointed, seen: &Seen, told: &Told) -> Option<Look> {
    let look = ORDER.into_iter().find(|look| !is_taken(*look, seen) && may(*look, pointed, seen).is_ok())?;
    conclusion::first(pointed, seen, told, look).is_none().then_some(look)
}

/// The looks that were not taken though somebody may expect them, and why.
#[must_use]
pub fn skipped(pointed: &Pointed, seen: &Seen) -> Vec<(Look, String)> {
    let looks = ORDER.into_iter().filter(|look| !is_taken(*look, seen));
    looks
        .filter_map(|look| Some((look, may(look, pointed, seen).err()?)))
        .filter(|(_, why)| !why.is_empty())
        .collect()
}

const fn is_taken(look: Look, seen: &Seen) -> bool {
    match look {
        Look::Health => seen.health.is_some(),
        Look::Challenge => seen.challenge.is_some(),
        Look::Credential => seen.credential.is_some(),
        Look::Device => seen.device.is_some(),
        Look::NewDevice => seen.new_device.is_some(),
        Look::Page => seen.page.is_some(),
    }
}

/// Why a secret is not sent in plain text.
pub const READABLE: &str = "ws:// to another machine is not encrypted, and whoever is on the way could read the secret; use wss://, or \
                            a tunnel (ssh -N -L 18789:127.0.0.1:18789 HOST), or say --allow-plaintext";

/// Whether a look that is wanted was not taken because of the secret that it presents.
#[must_use]
pub fn kept_back(pointed: &Pointed, seen: &Seen) -> bool {
    let left = ORDER.into_iter().filter(|look| !is_taken(*look, seen));
    pointed.keeps_secrets_back()
        && left.into_iter().any(|look| presents(look, pointed) && is_wanted(look, pointed, seen).is_ok())
}

/// Whether a look may be taken; else why not, which is empty where nobody would expect it.
fn may(look: Look, pointed: &Pointed, seen: &Seen) -> Result<(), String> {
    is_wanted(look, pointed, seen)?;
    let is_kept_back = presents(look, pointed) && pointed.keeps_secrets_back();
    if is_kept_back { Err(READABLE.to_owned()) } else { Ok(()) }
}

/// Whether it shows the gateway a secret.
fn presents(look: Look, pointed: &Pointed) -> bool {
    match look {
        Look::Health | Look::Challenge => false,
        Look::Credential | Look::Page | Look::NewDevice => pointed.credential.is_some(),
        Look::Device => pointed.kept().is_some(),
    }
}

fn is_wanted(look: Look, pointed: &Pointed, seen: &Seen) -> Result<(), String> {
    let not = |why: &str| Err(why.to_owned());
    match look {
        Look::Health | Look::Challenge => Ok(()),
        Look::Credential if pointed.credential.is_none() => {
            not("no shared token or password was pointed at (--token-env, --token-file, --state-dir)")
        }
        Look::Page if pointed.origin.is_none() => not(""),
        Look::NewDevice if !pointed.new_device => not(""),
        Look::Credential | Look::Page | Look::NewDevice => Ok(()),
        Look::Device => may_show_device(pointed, seen),
    }
}

/// The device is shown with its own token only: whoever holds none, or a wrong one, is refused before anything is paired or asked
/// for. A gateway that wants no credential would pair it silently, so that must be known to be otherwise.
fn may_show_device(pointed: &Pointed, seen: &Seen) -> Result<(), String> {
    let not = |why: &str| Err(why.to_owned());
    if pointed.new_device {
        return not("");
    }
    let Some(identity) = &pointed.identity else {
        return not("no identity was pointed at (--identity, --state-dir)");
    };
    if pointed.role == ROLE_NODE {
        return not("a node says what it offers when it connects, and a probe's offer would replace it");
    }
    if pointed.kept().is_none() {
        return Err(format!(
            "the identity holds no device token for the role {}; with a shared secret it would be paired, or a request made",
            pointed.role
        ));
    }
    let entry = pointed.store.as_ref().and_then(|store| store.entry.as_ref());
    if entry.is_some_and(|entry| is_browser(entry.client_id.as_deref())) {
        return not("the device is a browser's, which connects from its page; --origin looks at that");
    }
    let is_stored = entry.is_some_and(|entry| entry.public_key == identity.key.public_key());
    let mode = pointed.configuration.as_ref().and_then(|configuration| configuration.effective_auth_mode());
    let wants_credential = mode.is_some_and(|mode| mode != "none")
        || matches!(&seen.credential, Some(Ok(answered)) if answered.is_session() || answered.code().starts_with("AUTH_"));
    if wants_credential || (is_stored && mode == Some("none")) {
        return Ok(());
    }
    if mode == Some("none") {
        return not(
            "the gateway wants no credential, so an unknown device would be paired or leave a request",
        );
    }
    if pointed.address.is_loopback() {
        return not(
            "whether the gateway wants a credential is not known, and one that wants none pairs a local device at once; \
             point at the shared token (--token-file) or the gateway's own --state-dir",
        );
    }
    Ok(())
}

fn is_browser(client_id: Option<&str>) -> bool {
    [ClientId::ControlUi, ClientId::Webchat, ClientId::WebchatUi]
        .iter()
        .any(|id| Some(id.as_str()) == client_id)
}

/// The connect of [`Look::Credential`].
#[must_use]
pub fn credential_ask(pointed: &Pointed) -> Ask<'_> {
    Ask {
        caller: plain(pointed, ClientId::Probe, ClientMode::Probe),
        role: protocol::scope::ROLE_OPERATOR,
        scopes: Vec::new(),
        key: None,
        presented: shared(pointed),
        origin: None,
    }
}

/// The connect of [`Look::Page`].
#[must_use]
pub fn page_ask<'p>(pointed: &'p Pointed, told: &Told) -> Ask<'p> {
    let mut caller = plain(pointed, ClientId::ControlUi, ClientMode::Webchat);
    // Another build than the gateway's own is told to reload, which is not what is asked here.
    caller.build_id = (told.profile == Some(protocol::ProfileName::V2026_9_6)).then_some("dev");
    Ask { caller, origin: pointed.origin.as_deref(), ..credential_ask(pointed) }
}

/// The connect of [`Look::Device`]: as the entry says that the device is, for what it surely holds.
#[must_use]
pub fn device_ask<'p>(pointed: &'p Pointed, told: &Told) -> Option<Ask<'p>> {
    let (identity, kept) = (pointed.identity.as_ref()?, pointed.kept()?);
    let token = kept.token.reveal();
    let entry = pointed.store.as_ref().and_then(|store| store.entry.as_ref());
    let held = entry.map(|entry| entry.surely_holds(&pointed.role));
    let scopes = kept.scopes.iter().filter(|scope| held.as_ref().is_none_or(|held| held.contains(scope)));
    let mut caller = plain(pointed, ClientId::Cli, ClientMode::Cli);
    caller.display_name.clone_from(&pointed.display_name);
    if let Some(entry) = entry {
        let named = |name: &Option<String>| name.clone().unwrap_or_default();
        let id = ClientId::ALL.iter().find(|id| id.as_str() == named(&entry.client_id));
        let mode = ClientMode::ALL.iter().find(|mode| mode.as_str() == named(&entry.client_mode));
        if let (Some(id), Some(mode)) = (id, mode) {
            (caller.id, caller.mode) = (*id, *mode);
        }
        if caller.display_name.is_none() {
            caller.display_name.clone_from(&entry.display_name);
        }
        if let Some(platform) = &entry.platform {
            caller.platform.clone_from(platform);
            caller.device_family.clone_from(&entry.device_family);
        }
    }
    Some(Ask {
        caller,
        role: &pointed.role,
        scopes: scopes.cloned().collect(),
        key: Some(&identity.key),
        // Every release takes it in `token`; where `deviceToken` is known it does not count as a wrong shared token.
        presented: if told.knows_device_token {
            Presented::DeviceToken(token)
        } else {
            Presented::Token(token)
        },
        origin: None,
    })
}

/// The connect of [`Look::NewDevice`]: a command line that asks for nothing.
#[must_use]
pub fn new_device_ask<'p>(pointed: &'p Pointed, key: &'p DeviceKey) -> Ask<'p> {
    let caller = if pointed.role == ROLE_NODE {
        plain(pointed, ClientId::NodeHost, ClientMode::Node)
    } else {
        plain(pointed, ClientId::Cli, ClientMode::Cli)
    };
    Ask { caller, role: &pointed.role, key: Some(key), ..credential_ask(pointed) }
}

fn plain(pointed: &Pointed, id: ClientId, mode: ClientMode) -> Caller {
    Caller {
        id,
        mode,
        display_name: None,
        platform: pointed.platform.clone().unwrap_or_else(|| own_platform().to_owned()),
        device_family: pointed.device_family.clone(),
        build_id: None,
    }
}

/// This machine, as Node calls it.
#[must_use]
pub fn own_platform() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    }
}

fn shared(pointed: &Pointed) -> Presented<'_> {
    match &pointed.credential {
        None => Presented::Nothing,
        Some(credential) if credential.is_password => Presented::Password(credential.secret.reveal()),
        Some(credential) => Presented::Token(credential.secret.reveal()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::address::Address;
    use crate::probe::configuration::Configuration;
    use crate::probe::identity::Identity;
    use crate::probe::store::{Store, StoredDevice, StoredToken};
    use crate::probe::{Credential, secret::Secret};

    fn pointed(url: &str, role: &str) -> Pointed {
        let mut identity = Identity {
            key: DeviceKey::from_seed(&[7; 32]).unwrap(),
            tokens: std::collections::BTreeMap::new(),
            unread: Vec::new(),
        };
        identity.add_token(
            role,
            "hunter2-hunter2",
            vec!["operator.read".to_owned(), "operator.write".to_owned()],
        );
        Pointed {
            address: Address::parse(url).unwrap(),
            credential: None,
            identity: Some(identity),
            role: role.to_owned(),
            asks: None,
            platform: None,
            device_family: None,
            display_name: None,
            origin: None,
            allow_plaintext: false,
            new_device: false,
            configuration: None,
            store: None,
        }
    }

    fn in_mode(mode: &str) -> Option<Configuration> {
        Some(Configuration { auth_mode: Some(mode.to_owned()), ..Configuration::default() })
    }

    #[test]
    fn a_device_is_not_shown_where_that_could_pair_it_or_change_what_it_offers() {
        let shows = |pointed: &Pointed| may(Look::Device, pointed, &Seen::default()).is_ok();
        assert!(shows(&pointed("wss://gw.example.com", "operator")));
        assert!(!shows(&pointed("wss://gw.example.com", "node")), "a node's offer would be replaced");
        let mut local = pointed("ws://127.0.0.1:1", "operator");
        assert!(!shows(&local), "it may want no credential, and pair whoever comes");
        local.configuration = in_mode("none");
        assert!(!shows(&local));
        local.configuration = in_mode("token");
        assert!(shows(&local));
        let without = Pointed { role: "other".to_owned(), ..pointed("wss://gw.example.com", "operator") };
        assert!(!shows(&without), "no token of its own");
        let nobody = Pointed { identity: None, ..pointed("wss://gw.example.com", "operator") };
        assert!(!shows(&nobody));
        let fresh = Pointed { new_device: true, ..pointed("wss://gw.example.com", "operator") };
        assert!(!shows(&fresh) && may(Look::NewDevice, &fresh, &Seen::default()).is_ok());
        assert!(may(Look::NewDevice, &nobody, &Seen::default()).is_err(), "not without leave");
    }

    #[test]
    fn no_secret_is_sent_so_that_others_could_read_it() {
        let looks = |url: &str, allow_plaintext: bool| {
            let pointed = Pointed {
                credential: Some(Credential { secret: Secret::new("hunter2-hunter2"), is_password: false }),
                origin: Some("https://gw.example.com".to_owned()),
                allow_plaintext,
                ..pointed(url, "operator")
            };
            let known = [Look::Credential, Look::Page, Look::Device]
                .map(|look| may(look, &pointed, &Seen::default()).is_ok());
            let fresh = Pointed { new_device: true, ..pointed };
            let new = may(Look::NewDevice, &fresh, &Seen::default()).is_ok();
            [known.as_slice(), &[new]].concat()
        };
        for url in ["ws://gw.example.com", "ws://192.168.1.5:18789"] {
            assert_eq!(looks(url, false), [false; 4], "{url}");
            assert_eq!(looks(url, true), [true; 4], "{url}");
        }
        assert_eq!(looks("wss://gw.example.com", false), [true; 4]);
        let mut plain = pointed("ws://gw.example.com", "operator");
        assert_eq!(skipped(&plain, &Seen::default()).last().unwrap(), &(Look::Device, READABLE.to_owned()));
        // What presents nothing may be looked at.
        (plain.identity, plain.new_device) = (None, true);
        assert!(may(Look::NewDevice, &plain, &Seen::default()).is_ok());
        assert!(may(Look::Challenge, &plain, &Seen::default()).is_ok());
    }

    #[test]
    fn no_more_is_asked_than_token_and_entry_hold() {
        let mut pointed = pointed("ws://127.0.0.1:1", "operator");
        pointed.asks = Some(vec!["operator.admin".to_owned()]);
        let told = Told::default();
        assert_eq!(device_ask(&pointed, &told).unwrap().scopes, ["operator.read", "operator.write"]);
        let token = StoredToken {
            token: Secret::new("hunter2-hunter2"),
            scopes: vec!["operator.read".to_owned()],
            revoked: false,
        };
        let entry = StoredDevice {
            client_id: Some("openclaw-macos".to_owned()),
            client_mode: Some("ui".to_owned()),
            display_name: Some("Mac".to_owned()),
            platform: Some("MacIntel".to_owned()),
            scopes: vec!["operator.admin".to_owned(), "operator.read".to_owned()],
            tokens: [("operator".to_owned(), token)].into(),
            ..StoredDevice::default()
        };
        pointed.platform = Some("linux".to_owned());
        pointed.store = Some(Store { entry: Some(entry), ..Store::default() });
        let ask = device_ask(&pointed, &told).unwrap();
        assert_eq!(ask.scopes, ["operator.read"]);
        // It says of itself what the entry says, so that nothing of it changes.
        assert_eq!((ask.caller.id, ask.caller.mode), (ClientId::MacOs, ClientMode::Ui));
        assert_eq!(
            (ask.caller.platform.as_str(), ask.caller.display_name.as_deref()),
            ("MacIntel", Some("Mac"))
        );
        pointed.credential = Some(Credential { secret: Secret::new("shared"), is_password: false });
        for ask in [credential_ask(&pointed), page_ask(&pointed, &told)] {
            assert!(ask.key.is_none() && ask.scopes.is_empty(), "what has no device stores nothing");
        }
        assert!(new_device_ask(&pointed, &DeviceKey::from_seed(&[8; 32]).unwrap()).scopes.is_empty());
    }
}
