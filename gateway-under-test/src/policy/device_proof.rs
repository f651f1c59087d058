//! Proof of the device key: id, clock, nonce, signature (rows 12 to 15).
//!
//! Signatures are checked by the rule of `verify_strict`. It differs from OpenSSL's rule, which real gateways use, only for public
//! keys of small order, which no honest key generation yields and with which a signature proves nothing; and for a
//! signature point of small order, which an honest signer meets with probability 2^-250.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use protocol::connect::{ClientInfo, DeviceProof};
use protocol::error::DetailCode;
use protocol::{ErrorDetails, PayloadVersion, SignaturePayload, device_id};

use super::refusal::Refusal;
use crate::defect::Defect;
use crate::profile::{DetailLevel, Profile};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64URL: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT.with_encode_padding(false));
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// DER of an Ed25519 `SubjectPublicKeyInfo` up to the key (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What a device claims, and what it should have signed.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// `device` of the request.
    pub device: &'a DeviceProof,
    /// `client` of the request.
    pub client: &'a ClientInfo,
    /// Effective role.
    pub role: &'a str,
    /// Scopes in the order of the request.
    pub scopes: &'a [String],
    /// The credential that is signed.
    pub token: &'a str,
    /// The challenge's nonce.
    pub nonce: &'a str,
    /// Deliberate fault.
    pub defect: Option<Defect>,
    /// Whether the client is local: only such may sign without a nonce, where that is known.
    pub local: bool,
}

/// Checks a claim at `now_ms` (milliseconds since the Unix epoch) and gives the key as base64url.
///
/// # Errors
/// The refusal of the first of rows 12 to 15 that applies.
pub fn verify(profile: &Profile, claim: &Claim<'_>, now_ms: u64) -> Result<String, Refusal> {
    let Claim { device, client, .. } = *claim;
    let is_off = |by| claim.defect == Some(by);
    let refuse = |message: &str, reason: &'static str, fine: DetailCode| {
        let code = match profile.details {
            DetailLevel::Ids => return Refusal::invalid(message, reason),
            DetailLevel::Codes => DetailCode::DeviceAuthInvalid,
            DetailLevel::NextSteps | DetailLevel::Hints => fine,
        };
        let details =
            ErrorDetails { code: Some(code), reason: Some(reason.to_owned()), ..ErrorDetails::default() };
        Refusal::invalid(message, reason).detailed(details)
    };
    let is_its_id = |key: &[u8; 32]| device_id(key) == device.id || is_off(Defect::ForeignDeviceId);
    let key = decode_key(&device.public_key).filter(is_its_id).ok_or_else(|| {
        refuse("device identity mismatch", "device-id-mismatch", DetailCode::DeviceAuthDeviceIdMismatch)
    })?;
    if now_ms.abs_diff(device.signed_at) > profile.skew_ms {
        return Err(refuse(
            "device signature expired",
            "device-signature-stale",
            DetailCode::DeviceAuthSignatureExpired,
        ));
    }
    let nonce = device.nonce.as_deref().unwrap_or_default().trim();
    let nonceless = nonce.is_empty() && claim.local && profile.payload_versions.contains(&PayloadVersion::V1);
    if nonce.is_empty() && !nonceless {
        return Err(refuse(
            "device nonce required",
            "device-nonce-missing",
            DetailCode::DeviceAuthNonceRequired,
        ));
    }
    let challenge = if is_off(Defect::StaleNonce) { nonce } else { claim.nonce };
    if !nonceless && nonce != challenge {
        return Err(refuse(
            "device nonce mismatch",
            "device-nonce-mismatch",
            DetailCode::DeviceAuthNonceMismatch,
        ));
    }
    let payload = SignaturePayload {
        device_id: &device.id,
        client_id: client.id.as_str(),
        client_mode: client.mode.as_str(),
        role: claim.role,
        scopes: claim.scopes,
        signed_at_ms: device.signed_at,
        token: claim.token,
        nonce: challenge,
        platform: &client.platform,
        device_family: client.device_family.as_deref().unwrap_or_default(),
    };
    let is_signed = || {
        let verifying = VerifyingKey::from_bytes(&key).ok()?;
        let signature = Signature::from_bytes(&decode(&device.signature)?.try_into().ok()?);
        profile
            .payload_versions
            .iter()
            .filter(|version| (**version == PayloadVersion::V1) == nonceless)
            .any(|version| is_signed_by(&verifying, payload.text(*version).as_bytes(), &signature))
            .then_some(())
    };
    // The defect does not even look, so that a benchmark sees what a decision costs without it.
    if !is_off(Defect::AcceptBadSignature) {
        is_signed().ok_or_else(|| {
            refuse("device signature invalid", "device-signature", DetailCode::DeviceAuthSignatureInvalid)
        })?;
    }
    Ok(BASE64URL.encode(key))
}

/// The points of small order as they are written in their one reduced form: `verify_strict` takes none of them for a signature's
/// point.
const SMALL_ORDER: [[u8; 32]; 8] = {
    const ZERO: [u8; 32] = [0; 32];
    const fn with(mut point: [u8; 32], first: u8, last: u8) -> [u8; 32] {
        let [low, .., high] = &mut point;
        (*low, *high) = (first, last);
        point
    }
    const LOW: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    const HIGH: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    [
        with(ZERO, 1, 0),
        with([0xff; 32], 0xec, 0x7f),
        ZERO,
        with(ZERO, 0, 0x80),
        LOW,
        with(LOW, 0x26, 0x85),
        HIGH,
        with(HIGH, 0xc7, 0xfa),
    ]
};

/// What `verify_strict` says, in less time: it unpacks the signature's point to look at its order and to compare it. Where the
/// point is written in reduced form, looking its bytes up and comparing them comes to the same.
fn is_signed_by(key: &VerifyingKey, text: &[u8], signature: &Signature) -> bool {
    let point = signature.r_bytes();
    if !is_reduced(point) {
        return key.verify_strict(text, signature).is_ok();
    }
    !key.is_weak() && !SMALL_ORDER.contains(point) && key.verify(text, signature).is_ok()
}

/// Whether the y coordinate of a packed point is below 2^255 - 19.
fn is_reduced(point: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = point;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

/// A key in any accepted form as base64url; the text itself if it is in none, so that it equals no key.
#[must_use]
pub fn normalized_key(text: &str) -> std::borrow::Cow<'_, str> {
    // 43 characters are the usual form already; re-encoding could only differ in unused bits.
    if text.len() == 43 && !text.contains(['+', '/']) {
        return std::borrow::Cow::Borrowed(text);
    }
    decode_key(text).map_or(std::borrow::Cow::Borrowed(text), |key| BASE64URL.encode(key).into())
}

/// 32 key bytes from base64url, standard base64, or SPKI in PEM.
fn decode_key(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    if let Some(pem) = text.strip_prefix("-----BEGIN PUBLIC KEY-----") {
        let body: String =
            pem.split("-----END PUBLIC KEY-----").next()?.chars().filter(|c| !c.is_whitespace()).collect();
        return BASE64.decode(body).ok()?.strip_prefix(&SPKI_PREFIX)?.try_into().ok();
    }
    decode(text)?.try_into().ok()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    BASE64URL.decode(text).or_else(|_| BASE64.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ARTICLE, V2026_2_19, V2026_2_22, V2026_3_13, V2026_9_6};
    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::prelude::*;
    use protocol::{ClientId, ClientMode, PayloadVersion};

    const NOW: u64 = 1_800_000_000_000;

    struct Signed {
        device: DeviceProof,
        client: ClientInfo,
        scopes: Vec<String>,
    }

    fn signed(version: PayloadVersion) -> Signed {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let client = ClientInfo {
            id: ClientId::Cli,
            display_name: None,
            version: "1".into(),
            platform: " MacIntel".into(),
            device_family: None,
            model_identifier: None,
            mode: ClientMode::Cli,
            instance_id: None,
            build_id: None,
            time_zone: None,
        };
        let scopes = vec!["operator.read".to_owned(), "operator.write".to_owned()];
        let id = device_id(&public);
        let text = SignaturePayload {
            device_id: &id,
            client_id: "cli",
            client_mode: "cli",
            role: "operator",
            scopes: &scopes,
            signed_at_ms: NOW,
            token: "secret",
            nonce: "nonce-1",
            platform: &client.platform,
            device_family: "",
        }
        .text(version);
        let signature = BASE64URL.encode(key.sign(text.as_bytes()).to_bytes());
        let device = DeviceProof {
            id,
            public_key: BASE64URL.encode(public),
            signature,
            signed_at: NOW,
            nonce: Some("nonce-1".into()),
        };
        Signed { device, client, scopes }
    }

    fn check(signed: &Signed, now_ms: u64) -> Result<String, &'static str> {
        check_as(&ARTICLE, signed, false, now_ms).map_err(|refusal| refusal.cause)
    }

    fn check_as(profile: &Profile, signed: &Signed, local: bool, now_ms: u64) -> Result<String, Refusal> {
        let claim = Claim {
            device: &signed.device,
            client: &signed.client,
            role: "operator",
            scopes: &signed.scopes,
            token: "secret",
            nonce: "nonce-1",
            defect: None,
            local,
        };
        verify(profile, &claim, now_ms)
    }

    #[test]
    fn which_payloads_a_release_takes() {
        // v1, v2, v3 with a nonce; v1 without one, local and remote.
        let rows: [(&Profile, [bool; 5]); 4] = [
            (&V2026_2_19, [false, true, false, true, false]),
            (&V2026_2_22, [false, true, false, false, false]),
            (&V2026_3_13, [false, true, true, false, false]),
            (&V2026_9_6, [false, true, true, false, false]),
        ];
        let mut nonceless = signed(PayloadVersion::V1);
        nonceless.device.nonce = None;
        for (profile, expected) in rows {
            let with_nonce = [PayloadVersion::V1, PayloadVersion::V2, PayloadVersion::V3]
                .map(|version| check_as(profile, &signed(version), true, NOW).is_ok());
            let without = [true, false].map(|local| check_as(profile, &nonceless, local, NOW).is_ok());
            let all: Vec<bool> = with_nonce.into_iter().chain(without).collect();
            assert_eq!(all, expected, "{}", profile.name);
        }
        // A local client of 2.19 that leaves the nonce out and signs the wrong payload (case a09).
        let mut wrong = signed(PayloadVersion::V2);
        wrong.device.nonce = None;
        assert_eq!(check_as(&V2026_2_19, &wrong, true, NOW).unwrap_err().cause, "device-signature");
        assert_eq!(check_as(&V2026_2_19, &wrong, false, NOW).unwrap_err().cause, "device-nonce-missing");
    }

    #[test]
    fn how_much_a_release_says_and_how_long_it_waits() {
        let good = signed(PayloadVersion::V2);
        let code = |profile| {
            let refusal = check_as(profile, &good, false, NOW + 600_001).unwrap_err();
            let error = refusal.error.unwrap();
            assert_eq!(error.message, "device signature expired");
            error.details.and_then(|details| details.code).map(|code| code.as_str().to_owned())
        };
        assert_eq!(code(&V2026_2_19), None);
        assert_eq!(code(&V2026_2_22).as_deref(), Some("DEVICE_AUTH_INVALID"));
        assert_eq!(code(&V2026_3_13).as_deref(), Some("DEVICE_AUTH_SIGNATURE_EXPIRED"));
        assert!(check_as(&V2026_2_19, &good, false, NOW + 600_000).is_ok());
        assert!(check_as(&V2026_2_22, &good, false, NOW + 120_001).is_err());
        assert!(check_as(&V2026_2_22, &good, false, NOW - 120_000).is_ok());
    }

    #[test]
    fn both_payloads_and_every_encoding_are_accepted() {
        for version in [PayloadVersion::V2, PayloadVersion::V3] {
            assert!(check(&signed(version), NOW).is_ok(), "{version:?}");
        }
        assert_eq!(check(&signed(PayloadVersion::V1), NOW), Err("device-signature"));

        let mut standard = signed(PayloadVersion::V2);
        let usual = standard.device.public_key.clone();
        let raw = decode_key(&usual).unwrap();
        standard.device.public_key = BASE64.encode(raw);
        standard.device.signature = BASE64.encode(decode(&standard.device.signature).unwrap());
        assert_eq!(check(&standard, NOW), Ok(usual.clone()));

        let der = [SPKI_PREFIX.as_slice(), &raw].concat();
        standard.device.public_key =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(der));
        assert_eq!(check(&standard, NOW), Ok(usual.clone()));
        assert_eq!(normalized_key(&standard.device.public_key), usual);
    }

    #[test]
    fn rows_12_to_15_in_their_order() {
        let mut bad = signed(PayloadVersion::V3);
        bad.device.signature = "AAAA".into();
        assert_eq!(check(&bad, NOW), Err("device-signature"));
        bad.device.nonce = Some("other".into());
        assert_eq!(check(&bad, NOW), Err("device-nonce-mismatch"));
        bad.device.nonce = Some("  ".into());
        assert_eq!(check(&bad, NOW), Err("device-nonce-missing"));
        assert_eq!(check(&bad, NOW + 120_001), Err("device-signature-stale"));
        assert_eq!(check(&bad, NOW + 120_000), Err("device-nonce-missing"));
        assert_eq!(check(&bad, NOW - 120_001), Err("device-signature-stale"));
        bad.device.id = bad.device.id.to_uppercase();
        assert_eq!(check(&bad, NOW + 120_001), Err("device-id-mismatch"));
        bad.device.public_key = "nonsense".into();
        assert_eq!(check(&bad, NOW), Err("device-id-mismatch"));
    }

    #[test]
    fn scopes_are_signed_in_their_order() {
        let mut reversed = signed(PayloadVersion::V2);
        reversed.scopes.reverse();
        assert_eq!(check(&reversed, NOW), Err("device-signature"));
    }

    #[test]
    fn the_points_of_small_order_are_those() {
        let known: std::collections::BTreeSet<_> = SMALL_ORDER.into_iter().collect();
        assert_eq!(known.len(), 8);
        for point in known {
            assert!(is_reduced(&point));
            assert!(VerifyingKey::from_bytes(&point).unwrap().is_weak(), "{point:02x?}");
        }
    }

    /// A signature that holds for any text under a key of small order, with a point of small order: what `verify` alone takes.
    #[test]
    fn what_only_the_strict_rule_refuses_is_refused() {
        let mut taken = 0;
        for key in SMALL_ORDER {
            let key = VerifyingKey::from_bytes(&key).unwrap();
            for point in SMALL_ORDER {
                for text in 0_u8..16 {
                    let signature = Signature::from_components(point, [0; 32]);
                    taken += usize::from(key.verify(&[text], &signature).is_ok());
                    assert!(!is_signed_by(&key, &[text], &signature));
                }
            }
        }
        assert!(taken > 0, "the loose rule takes none, so that this shows nothing");
    }

    proptest! {
        #[test]
        fn the_quick_rule_is_the_strict_one(
            seed: [u8; 32], text in proptest::collection::vec(any::<u8>(), 0..40),
            spoiled in proptest::option::of((0_usize..64, 1_u8..)), point in proptest::option::of(0_usize..8),
            unreduced: bool,
        ) {
            let key = SigningKey::from_bytes(&seed);
            let mut bytes = key.sign(&text).to_bytes();
            if let Some((at, by)) = spoiled {
                bytes[at] ^= by;
            }
            if let Some(point) = point {
                bytes[..32].copy_from_slice(&SMALL_ORDER[point]);
            }
            if unreduced {
                bytes[1..31].fill(0xff);
                bytes[31] |= 0x7f;
                bytes[0] |= 0xed;
            }
            let signature = Signature::from_bytes(&bytes);
            let key = key.verifying_key();
            prop_assert_eq!(
                is_signed_by(&key, &text, &signature),
                key.verify_strict(&text, &signature).is_ok()
            );
            prop_assert_eq!(is_signed_by(&key, &text, &signature), spoiled.is_none() && point.is_none() && !unreduced);
        }

        #[test]
        fn hostile_proofs_never_panic(key in "\\PC{0,80}", signature in "\\PC{0,120}", signed_at: u64, now: u64) {
            let mut hostile = signed(PayloadVersion::V2);
            hostile.device.public_key = key;
            hostile.device.signature = signature;
            hostile.device.signed_at = signed_at;
            prop_assert!(check(&hostile, now).is_err());
        }
    }
}
