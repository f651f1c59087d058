//! How a recorded device signed its connect, so that another key can make the same signature or the same mistake.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::identity::Identities;

/// Mark that the recordings' redaction leaves where it found what it took for a host name, also inside keys.
const REDACTED: &str = "<host>";

/// How a connect was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// The frame has no device, or none that could be signed: it is sent with the identifiers mapped.
    None,
    /// A good signature over this text, by the key that is sent.
    Over(String),
    /// 64 bytes that are no signature of the text, sent in the same encoding.
    Wrong(String),
    /// Not even 64 bytes in base64: sent as it is.
    Literal,
}

/// The fields of a signed text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Text<'a>(Vec<&'a str>);

impl<'a> Text<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let fields: Vec<&str> = text.split('|').collect();
        let wanted = match *fields.first()? {
            "v1" => 8,
            "v2" => 9,
            "v3" => 11,
            _ => return None,
        };
        (fields.len() == wanted).then_some(Self(fields))
    }

    fn get(&self, position: usize) -> &'a str {
        self.0.get(position).copied().unwrap_or_default()
    }
}

/// Device id, time and nonce of a signed text: what tells which connect it belongs to.
#[must_use]
pub fn marks(text: &str) -> Option<(&str, &str, Option<&str>)> {
    let parsed = Text::parse(text)?;
    Some((parsed.get(1), parsed.get(6), parsed.0.get(8).copied()))
}

/// How the connect in `frame` was signed. `noted` is the text that the recording says was signed.
#[must_use]
pub fn analyse(frame: &Value, noted: Option<&str>, nonce: Option<&str>) -> Signing {
    let Some(device) = frame.pointer("/params/device").filter(|device| device.is_object()) else {
        return Signing::None;
    };
    let Some(signature) = device.get("signature").and_then(Value::as_str) else { return Signing::Literal };
    let public_key = device.get("publicKey").and_then(Value::as_str).unwrap_or_default();
    let damaged = signature.contains(REDACTED) || public_key.contains(REDACTED);
    let Some(bytes) = decode(signature).filter(|bytes| bytes.len() == 64) else {
        return match noted {
            Some(text) if damaged => Signing::Over(text.to_owned()),
            _ => Signing::Literal,
        };
    };
    let candidates = noted.map_or_else(|| guesses(frame, nonce), |text| vec![text.to_owned()]);
    let Some(text) = candidates.first().cloned() else { return Signing::Literal };
    if damaged || text.contains(REDACTED) {
        return Signing::Over(text);
    }
    let Some(key) = raw_key(public_key) else { return Signing::Wrong(text) };
    match candidates.into_iter().find(|candidate| verifies(&key, candidate, &bytes)) {
        Some(text) => Signing::Over(text),
        None => Signing::Wrong(text),
    }
}

/// Texts that a client may have signed for `frame`, the most usual first.
#[must_use]
pub fn guesses(frame: &Value, nonce: Option<&str>) -> Vec<String> {
    let text = |pointer: &str| frame.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let scopes: Vec<&str> = frame
        .pointer("/params/scopes")
        .and_then(Value::as_array)
        .map(|scopes| scopes.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let signed_at =
        frame.pointer("/params/device/signedAt").and_then(Value::as_i64).unwrap_or_default().to_string();
    let role = frame.pointer("/params/role").and_then(Value::as_str).unwrap_or("operator");
    let device_nonce = frame.pointer("/params/device/nonce").and_then(Value::as_str);
    let mut tokens = Vec::new();
    for name in ["token", "deviceToken", "bootstrapToken"] {
        if let Some(token) = frame.pointer(&format!("/params/auth/{name}")).and_then(Value::as_str) {
            tokens.push(token);
        }
    }
    tokens.push("");
    let mut nonces: Vec<&str> = device_nonce.into_iter().chain(nonce).collect();
    nonces.dedup();
    let mut sorted = scopes.clone();
    sorted.sort_unstable();
    let mut reversed = scopes.clone();
    reversed.reverse();
    let mut orders = vec![scopes.join(","), sorted.join(","), reversed.join(",")];
    orders.dedup();
    let mut found = Vec::new();
    for token in &tokens {
        for order in &orders {
            let start = format!(
                "{}|{}|{}|{role}|{order}|{signed_at}|{token}",
                text("/params/device/id"),
                text("/params/client/id"),
                text("/params/client/mode")
            );
            for nonce in &nonces {
                let platform = text("/params/client/platform").trim().to_ascii_lowercase();
                let family = text("/params/client/deviceFamily").trim().to_ascii_lowercase();
                found.push(format!("v2|{start}|{nonce}"));
                found.push(format!("v3|{start}|{nonce}|{platform}|{family}"));
            }
            found.push(format!("v1|{start}"));
        }
    }
    found
}

/// What the replay knows about the connection that a text is signed for.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    /// Recorded nonce and the live one.
    pub nonce: Option<(&'a str, &'a str)>,
    /// Recorded time of the challenge and the live one, milliseconds.
    pub time: Option<(i64, i64)>,
}

/// A `signedAt` further than this from the challenge is no time but a number that was chosen, milliseconds.
const NEAR_MS: i64 = 86_400_000;

impl Challenge<'_> {
    /// A recorded `signedAt`, as far from the live challenge as it was from the recorded one.
    #[must_use]
    pub const fn shifted(&self, signed_at: i64) -> i64 {
        match self.time {
            Some((then, now)) if signed_at.saturating_sub(then).saturating_abs() < NEAR_MS => {
                signed_at + (now - then)
            }
            _ => signed_at,
        }
    }
}

/// The recorded text with identifiers, token, nonce and time of the replay.
#[must_use]
pub fn translate(text: &str, identities: &Identities, challenge: Challenge<'_>) -> String {
    let Some(parsed) = Text::parse(text) else { return text.to_owned() };
    let mut fields: Vec<String> = parsed.0.iter().map(|field| (*field).to_owned()).collect();
    for (position, field) in fields.iter_mut().enumerate() {
        *field = match position {
            1 => identities.text(field),
            6 => field.parse::<i64>().map_or_else(|_| field.clone(), |at| challenge.shifted(at).to_string()),
            7 => identities.token(field),
            8 => match challenge.nonce {
                Some((recorded, live)) if recorded == field => live.to_owned(),
                _ => identities.text(field),
            },
            _ => field.clone(),
        };
    }
    fields.join("|")
}

/// A signature text of either base64 alphabet.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text)).ok()
}

/// The 32 raw bytes of a public key in any of the forms that gateways read: base64url, base64, SPKI PEM.
#[must_use]
pub fn raw_key(text: &str) -> Option<[u8; 32]> {
    if text.contains("BEGIN PUBLIC KEY") {
        let body: String = text.lines().filter(|line| !line.contains("-----")).collect();
        let der = STANDARD.decode(body.trim()).ok()?;
        let (head, raw) = der.split_last_chunk::<32>()?;
        return (head == SPKI_HEAD).then_some(*raw);
    }
    decode(text)?.try_into().ok()
}

/// The bytes before the key in an Ed25519 SPKI (RFC 8410).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key in the same form as `like`.
#[must_use]
pub fn same_form(like: &str, raw: &[u8; 32]) -> String {
    if like.contains("BEGIN PUBLIC KEY") {
        let der = [SPKI_HEAD.as_slice(), raw.as_slice()].concat();
        let end = if like.ends_with('\n') { "\n" } else { "" };
        return format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----{end}",
            STANDARD.encode(der)
        );
    }
    same_alphabet(like, raw)
}

/// Bytes in the base64 alphabet that `like` uses. Padding, `+` or `/` mean the standard one.
#[must_use]
pub fn same_alphabet(like: &str, bytes: &[u8]) -> String {
    if like.contains(['=', '+', '/']) && !like.contains(REDACTED) {
        STANDARD.encode(bytes)
    } else {
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn verifies(key: &[u8; 32], text: &str, signature: &[u8]) -> bool {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), signature).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::DeviceKey;

    fn signed(text: &str, encode: impl Fn(&str) -> String) -> (Value, String) {
        let key = DeviceKey::from_seed(&[7; 32]).unwrap();
        let frame = json!({"params": {"client": {"id": "cli", "mode": "cli", "platform": "linux"},
            "scopes": ["b", "a"], "auth": {"token": "t"}, "device": {"id": key.device_id(),
            "publicKey": key.public_key(), "signature": encode(&key.sign(text)), "signedAt": 5, "nonce": "n"}}});
        (frame, key.device_id().to_owned())
    }

    #[test]
    fn a_good_signature_is_told_from_a_wrong_one_and_from_rubbish() {
        let id = DeviceKey::from_seed(&[7; 32]).unwrap().device_id().to_owned();
        let text = format!("v2|{id}|cli|cli|operator|b,a|5|t|n");
        let (frame, _) = signed(&text, str::to_owned);
        assert_eq!(analyse(&frame, Some(&text), Some("n")), Signing::Over(text.clone()));
        let (frame, _) = signed("something else", str::to_owned);
        assert_eq!(analyse(&frame, Some(&text), Some("n")), Signing::Wrong(text.clone()));
        let (frame, _) = signed(&text, |_| "no base64!".to_owned());
        assert_eq!(analyse(&frame, Some(&text), Some("n")), Signing::Literal);
        let (frame, _) = signed(&text, |good| format!("{}<host>", &good[..20]));
        assert_eq!(analyse(&frame, Some(&text), Some("n")), Signing::Over(text));
        assert_eq!(analyse(&json!({"params": {}}), None, None), Signing::None);
    }

    #[test]
    fn a_text_that_nobody_noted_is_found_by_trying() {
        let id = DeviceKey::from_seed(&[7; 32]).unwrap().device_id().to_owned();
        for text in [
            format!("v1|{id}|cli|cli|operator|b,a|5|t"),
            format!("v3|{id}|cli|cli|operator|b,a|5|t|n|linux|"),
            format!("v2|{id}|cli|cli|operator|a,b|5||n"),
        ] {
            let (frame, _) = signed(&text, str::to_owned);
            assert_eq!(analyse(&frame, None, Some("n")), Signing::Over(text));
        }
    }

    #[test]
    fn keys_keep_their_form() {
        let raw = [9_u8; 32];
        let forms = [
            URL_SAFE_NO_PAD.encode(raw),
            STANDARD.encode(raw),
            format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                STANDARD.encode([SPKI_HEAD.as_slice(), &raw].concat())
            ),
        ];
        for form in &forms {
            assert_eq!(raw_key(form), Some(raw), "{form}");
            assert_eq!(&same_form(form, &raw), form);
        }
        assert_eq!(raw_key("AAAA"), None);
    }
}
