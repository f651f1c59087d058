//! A `connect` request with holes: everything that the clients of a cohort have in common is serialised once, and only what
//! differs from attempt to attempt is filled in.
//!
//! What both ways cost is measured by `cargo bench -p benches --bench client` (`first_message`, with and without).

use protocol::connect::{ConnectParams, DeviceProof};

use super::credentials::AuthKey;
use super::first_message::{self, Scratch, Sender};
use crate::plan::{ConnectSpec, Deviation};
use crate::vocabulary::persona::PersonaProfile;

/// What stands for a hole while the template is made; `signedAt` is a number.
const DEVICE_ID: &str = "@pairstorm:device-id@";
const PUBLIC_KEY: &str = "@pairstorm:public-key@";
const SIGNATURE: &str = "@pairstorm:signature@";
const NONCE: &str = "@pairstorm:nonce@";
const CREDENTIAL: &str = "@pairstorm:credential@";
const SIGNED_AT: u64 = 18_446_744_073_709_551_557;

/// What differs between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hole {
    DeviceId,
    PublicKey,
    Signature,
    SignedAt,
    Nonce,
    Credential,
}

/// A request with holes.
#[derive(Debug)]
pub struct Template {
    /// Each hole with the text before it.
    holes: Vec<(Box<[u8]>, Hole)>,
    /// What follows the last hole.
    tail: Box<[u8]>,
}

impl Template {
    /// The request of `spec` as `persona` sends it with a credential under `key`; `None` where only the long way will do:
    /// a deliberate fault, or a text of the scenario that looks like a hole.
    #[must_use]
    pub fn new(spec: &ConnectSpec, persona: &PersonaProfile, key: AuthKey) -> Option<Self> {
        if spec.deviation != Deviation::None {
            return None;
        }
        let proof = DeviceProof {
            id: DEVICE_ID.to_owned(),
            public_key: PUBLIC_KEY.to_owned(),
            signature: SIGNATURE.to_owned(),
            signed_at: SIGNED_AT,
            nonce: Some(NONCE.to_owned()),
        };
        let params: ConnectParams =
            first_message::params(spec, persona, first_message::auth(key, CREDENTIAL), Some(proof));
        let mut text = Vec::new();
        first_message::write_request(protocol::connect::METHOD, &params, &mut text);
        Self::cut(&text, key)
    }

    fn cut(text: &[u8], key: AuthKey) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let signed_at = SIGNED_AT.to_string();
        let mut marks = vec![
            (DEVICE_ID, Hole::DeviceId),
            (PUBLIC_KEY, Hole::PublicKey),
            (SIGNATURE, Hole::Signature),
            (signed_at.as_str(), Hole::SignedAt),
            (NONCE, Hole::Nonce),
        ];
        if key != AuthKey::Absent {
            marks.push((CREDENTIAL, Hole::Credential));
        }
        let mut found = Vec::with_capacity(marks.len());
        for (mark, hole) in marks {
            // A text hole takes its quotation marks with it: what is filled in is quoted, and escaped if need be.
            let quotes = usize::from(hole != Hole::SignedAt);
            let (at, _) = text.match_indices(mark).next()?;
            if text.matches(mark).count() != 1 {
                return None;
            }
            found.push((at - quotes, at + mark.len() + quotes, hole));
        }
        found.sort_unstable_by_key(|(from, ..)| *from);
        let mut holes = Vec::with_capacity(found.len());
        let mut done = 0;
        for (from, to, hole) in found {
            holes.push((text.get(done..from)?.as_bytes().into(), hole));
            done = to;
        }
        Some(Self { holes, tail: text.get(done..)?.as_bytes().into() })
    }

    /// Appends `sender`'s request in answer to `nonce`, signed at `wall_ms`.
    pub(super) fn write(&self, sender: &Sender<'_>, nonce: &str, wall_ms: u64, scratch: &mut Scratch) {
        let Scratch { text, message } = scratch;
        text.clear();
        sender.write_signed_text(nonce, wall_ms, text);
        for (before, hole) in &self.holes {
            message.extend_from_slice(before);
            match hole {
                Hole::DeviceId => quote(sender.key.device_id(), message),
                Hole::PublicKey => quote(sender.key.public_key(), message),
                Hole::Signature => {
                    message.push(b'"');
                    sender.key.sign_into(text, message);
                    message.push(b'"');
                }
                Hole::SignedAt => first_message::write_json(&wall_ms, message),
                Hole::Nonce => quote(nonce, message),
                Hole::Credential => quote(sender.credentials.value, message),
            }
        }
        message.extend_from_slice(&self.tail);
    }
}

/// Appends `text` as a JSON string. Nonces and tokens come from a gateway, which may put anything into them.
fn quote(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        first_message::write_json(text, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::ProfileName;

    use super::*;
    use crate::client::{Credentials, DeviceKey};
    use crate::plan::{Credential, NetworkPath, Persona, SignatureVersion};
    use crate::vocabulary::persona;

    fn spec(
        persona: Persona,
        platform: String,
        signature: SignatureVersion,
        scopes: Option<Vec<String>>,
    ) -> ConnectSpec {
        ConnectSpec {
            persona,
            role: None,
            scopes,
            platform,
            device_family: Some("Mac".to_owned()),
            credential: Credential::Missing,
            path: NetworkPath::Direct,
            origin: None,
            deviation: Deviation::None,
            signature,
        }
    }

    proptest! {
        #[test]
        fn a_filled_template_is_the_request_serialised_anew(
            persona in prop_oneof![
                Just(Persona::Cli), Just(Persona::MacOsApp), Just(Persona::Ios), Just(Persona::NodeHost), Just(Persona::ControlUi),
            ],
            release in proptest::sample::select(ProfileName::ALL.to_vec()),
            platform in "\\PC{0,20}",
            v2 in any::<bool>(),
            scopes in proptest::option::of(proptest::collection::vec("[a-z.\"\\\\]{0,20}", 0..4)),
            key in proptest::sample::select(AuthKey::ALL.to_vec()),
            value in "\\PC{0,60}",
            nonce in any::<String>(),
            seed in any::<[u8; 32]>(),
            wall_ms in any::<u64>(),
        ) {
            let signature = if v2 { SignatureVersion::V2 } else { SignatureVersion::V3 };
            let spec = spec(persona, platform, signature, scopes);
            let traits = persona::profile(persona, release);
            let device = DeviceKey::from_seed(&seed).unwrap();
            let value = if key == AuthKey::Absent { "" } else { value.as_str() };
            let credentials = Credentials { key, value, is_device_token: false };
            let template = Template::new(&spec, traits, key).unwrap();
            let filled = |template| {
                let mut scratch = Scratch::default();
                let sender = Sender { spec: &spec, persona: traits, key: &device, credentials, template };
                prop_assert!(sender.write_first_message(&nonce, wall_ms, &mut scratch));
                Ok(String::from_utf8(scratch.message).unwrap())
            };
            prop_assert_eq!(filled(Some(&template))?, filled(None)?);
        }
    }

    #[test]
    fn texts_that_look_like_a_hole_and_deliberate_faults_go_the_long_way() {
        let traits = persona::profile(Persona::Cli, ProfileName::Article);
        let odd = spec(Persona::Cli, format!("x{NONCE}"), SignatureVersion::V3, None);
        assert!(Template::new(&odd, traits, AuthKey::Token).is_none());
        let mut faulty = spec(Persona::Cli, "linux".to_owned(), SignatureVersion::V3, None);
        assert!(Template::new(&faulty, traits, AuthKey::Token).is_some());
        faulty.deviation = Deviation::BadSignature;
        assert!(Template::new(&faulty, traits, AuthKey::Token).is_none());
    }
}
