//! What a recording calls things, and what the replay calls them: devices, requests, tokens.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::client::DeviceKey;

/// The replay's names for the recording's.
///
/// A device of the recording is known by its id alone: the replay's key is derived from it, so that the same recorded id
/// is always the same key, whichever came first. Requests, tokens and the like are learnt when both sides have shown
/// theirs; a pair once made holds for the rest of the case, and anything that breaks it is a difference.
#[derive(Debug, Default)]
pub struct Identities {
    keys: std::sync::Mutex<HashMap<String, std::sync::Arc<DeviceKey>>>,
    live: HashMap<String, String>,
    recorded: HashMap<String, String>,
    authorities: Option<(String, String)>,
}

/// What came of holding two names against each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pairing {
    /// They belong together, from now on or since long.
    Same,
    /// The recording's name stands for another live one.
    Expected(String),
    /// The live name stands for another recorded one.
    Taken(String),
}

impl Identities {
    /// The key that stands for the device with this recorded id (lower case hex).
    #[must_use]
    pub fn key(&self, recorded: &str) -> Option<std::sync::Arc<DeviceKey>> {
        let mut keys = self.keys.lock().ok()?;
        if let Some(key) = keys.get(recorded) {
            return Some(std::sync::Arc::clone(key));
        }
        let mut digest = Sha256::new();
        digest.update(b"pairstorm conform device\0");
        digest.update(recorded.as_bytes());
        let key = std::sync::Arc::new(DeviceKey::from_seed(&digest.finalize().into()).ok()?);
        keys.insert(recorded.to_owned(), std::sync::Arc::clone(&key));
        Some(key)
    }

    /// The live name of a recorded one that stands alone in its text; device ids keep their case. Unknown names stay.
    #[must_use]
    pub fn text(&self, recorded: &str) -> String {
        if let Some(live) = self.live.get(recorded) {
            return live.clone();
        }
        let lower = recorded.to_ascii_lowercase();
        if is_device_id(&lower)
            && let Some(key) = self.key(&lower)
        {
            let id = key.device_id();
            return if recorded == lower { id.to_owned() } else { id.to_ascii_uppercase() };
        }
        recorded.to_owned()
    }

    /// The live token of a recorded one. Unknown ones (shared secrets, wrong tokens) stay as they are.
    #[must_use]
    pub fn token(&self, recorded: &str) -> String {
        self.live.get(recorded).cloned().unwrap_or_else(|| recorded.to_owned())
    }

    /// Whether the replay has a name for this recorded one.
    #[must_use]
    pub fn knows(&self, recorded: &str) -> bool {
        self.live.contains_key(recorded)
    }

    /// The live name of the only recorded one that begins with `cut`.
    #[must_use]
    pub fn longer(&self, cut: &str) -> Option<String> {
        if cut.len() < 8 {
            return None;
        }
        let mut found = self.live.iter().filter(|(recorded, _)| recorded.starts_with(cut));
        let (_, live) = found.next()?;
        found.next().is_none().then(|| live.clone())
    }

    /// Holds a recorded name and a live one against each other, and makes them a pair when both are new.
    pub fn pair(&mut self, recorded: &str, live: &str) -> Pairing {
        match (self.live.get(recorded), self.recorded.get(live)) {
            (Some(known), _) if known == live => Pairing::Same,
            (Some(known), _) => Pairing::Expected(known.clone()),
            (None, Some(other)) => Pairing::Taken(other.clone()),
            (None, None) => {
                self.live.insert(recorded.to_owned(), live.to_owned());
                self.recorded.insert(live.to_owned(), recorded.to_owned());
                Pairing::Same
            }
        }
    }

    /// Says where the recording dialled and where the replay does; headers are rewritten accordingly.
    pub fn set_authority(&mut self, recorded: &str, live: &str) {
        self.authorities = Some((recorded.to_owned(), live.to_owned()));
    }

    /// A header's value with the replay's address.
    #[must_use]
    pub fn header(&self, value: &str) -> String {
        match &self.authorities {
            Some((recorded, live)) if !recorded.is_empty() => value.replace(recorded.as_str(), live),
            _ => value.to_owned(),
        }
    }
}

/// 64 characters of lower case hex.
#[must_use]
pub fn is_device_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_id_always_stands_for_the_same_key() {
        let identities = Identities::default();
        let id = "ab".repeat(32);
        let live = identities.text(&id);
        assert_ne!(live, id);
        assert_eq!(live, Identities::default().text(&id));
        assert_eq!(identities.text(&id.to_ascii_uppercase()), live.to_ascii_uppercase());
        assert_eq!(identities.text("operator"), "operator");
    }

    #[test]
    fn pairs_hold_both_ways() {
        let mut identities = Identities::default();
        assert_eq!(identities.pair("r1", "l1"), Pairing::Same);
        assert_eq!(identities.pair("r1", "l1"), Pairing::Same);
        assert_eq!(identities.pair("r1", "l2"), Pairing::Expected("l1".into()));
        assert_eq!(identities.pair("r2", "l1"), Pairing::Taken("r1".into()));
        assert_eq!(identities.token("r1"), "l1");
        assert_eq!(identities.token("shared"), "shared");
    }
}
