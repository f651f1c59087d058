//! What is known of a device (reference, section 9.1).

use std::collections::BTreeMap;

use protocol::pairing::{PairedDevice, PendingRequest, TokenSummary};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::scopes;

/// A paired device as `paired.json` holds it. Keys that this build does not know are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceEntry {
    /// Lowercase hex SHA-256 of the key; also the entry's key in the file.
    #[serde(default)]
    pub device_id: String,
    /// base64url of the 32 key bytes.
    pub public_key: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Pinned operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Pinned kind of hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Use of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_mode: Option<String>,
    /// Role approved last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Approved roles; [`DeviceEntry::role`] stands in when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// Approved scopes, in order of approval. What a connect is held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Second copy of the approved scopes (2.21 on); written, never asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_scopes: Option<Vec<String>>,
    /// Address at approval; absent for local ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    /// Name that an operator gave it (9.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_label: Option<String>,
    /// Origin of a browser extension that it is bound to (9.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser_origin: Option<String>,
    /// How it was approved: `owner`, `silent`, … (9.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_via: Option<String>,
    /// Latest accepted connect, milliseconds since the Unix epoch (9.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at_ms: Option<u64>,
    /// What it was seen doing: `connect` or `device-token-auth` (9.6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_reason: Option<String>,
    /// Tokens by role.
    #[serde(default)]
    pub tokens: BTreeMap<String, TokenEntry>,
    /// First approval, milliseconds since the Unix epoch.
    #[serde(default)]
    pub created_at_ms: u64,
    /// Latest approval, milliseconds since the Unix epoch.
    #[serde(default)]
    pub approved_at_ms: u64,
    /// Keys of other releases.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A device token. Debug output hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenEntry {
    /// The secret: 43 characters of base64url.
    pub token: String,
    /// Role it is good for.
    pub role: String,
    /// Scopes it is good for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// First issue for this role, milliseconds since the Unix epoch.
    #[serde(default)]
    pub created_at_ms: u64,
    /// Latest replacement, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<u64>,
    /// Void since, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// Latest accepted connect, milliseconds since the Unix epoch; written lazily.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<u64>,
    /// Keys of other releases.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl std::fmt::Debug for TokenEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenEntry")
            .field("token", &"<hidden>")
            .field("role", &self.role)
            .field("scopes", &self.scopes)
            .field("created_at_ms", &self.created_at_ms)
            .field("rotated_at_ms", &self.rotated_at_ms)
            .field("revoked_at_ms", &self.revoked_at_ms)
            .finish_non_exhaustive()
    }
}

impl TokenEntry {
    /// When this very token was issued, milliseconds since the Unix epoch.
    #[must_use]
    pub fn issued_at_ms(&self) -> u64 {
        self.rotated_at_ms.unwrap_or(self.created_at_ms)
    }

    /// Whether it has been revoked.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.revoked_at_ms.is_some()
    }

    /// Names the shared secret under which it was issued, if it is bound to one (9.6).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.more.get("issuer")?.get("generation")?.as_str()
    }

    /// Binds it to the shared secret of that name, or to none.
    pub(super) fn bind(&mut self, generation: Option<String>) {
        match generation {
            Some(generation) => {
                let issuer = serde_json::json!({"kind": "shared-gateway-auth", "generation": generation});
                self.more.insert("issuer".to_owned(), issuer);
            }
            None => drop(self.more.remove("issuer")),
        }
    }

    fn summary(&self) -> TokenSummary {
        TokenSummary {
            role: self.role.clone(),
            scopes: self.scopes.clone(),
            created_at_ms: self.created_at_ms,
            rotated_at_ms: self.rotated_at_ms,
            revoked_at_ms: self.revoked_at_ms,
            last_used_at_ms: self.last_used_at_ms,
        }
    }
}

impl DeviceEntry {
    /// Whether `role` is approved.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        match &self.roles {
            Some(roles) => roles.iter().any(|held| held == role),
            None => self.role.as_deref() == Some(role),
        }
    }

    /// Approved roles; the single one of an old entry if there is no list.
    #[must_use]
    pub fn roles(&self) -> Vec<String> {
        match &self.roles {
            Some(roles) => roles.clone(),
            None => self.role.iter().cloned().collect(),
        }
    }

    /// Approved scopes.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        self.scopes.as_deref().unwrap_or_default()
    }

    /// Approved roles, the latest one included even if the list leaves it out.
    #[must_use]
    pub fn approved_roles(&self) -> Vec<String> {
        let listed = self.roles.as_deref().unwrap_or_default();
        let latest: Vec<String> = self.role.iter().cloned().collect();
        scopes::union(listed, &latest)
    }

    /// The scopes that tokens must stay within: the approved ones, else the plain ones, if there is any list.
    #[must_use]
    pub fn scope_baseline(&self) -> Option<&[String]> {
        self.approved_scopes.as_deref().or(self.scopes.as_deref())
    }

    /// Whether it was a browser's (9.6).
    #[must_use]
    pub fn is_browser(&self) -> bool {
        let is = |value: &Option<String>, names: &[&str]| {
            value.as_deref().is_some_and(|value| names.contains(&value.trim().to_ascii_lowercase().as_str()))
        };
        is(&self.client_mode, &["webchat"]) || is(&self.client_id, &["openclaw-control-ui", "webchat-ui"])
    }

    /// Whether it has neither platform nor device family: written by hand or by a gateway that did not pin them.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        stored(self.platform.as_deref()).is_none() && stored(self.device_family.as_deref()).is_none()
    }

    /// Whether what its node can do is approved, or waits for it (2026.9.6).
    #[must_use]
    pub fn has_node_surface(&self) -> bool {
        self.more.contains_key("nodeSurface") || self.more.contains_key("pendingNodeSurface")
    }

    /// As listed to operators: without token secrets and without the second copy of the scopes.
    #[must_use]
    pub fn listed(&self) -> PairedDevice {
        let mut more = self.more.clone();
        let texts = [
            ("operatorLabel", &self.operator_label),
            ("browserOrigin", &self.browser_origin),
            ("approvedVia", &self.approved_via),
            ("lastSeenReason", &self.last_seen_reason),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                more.insert(key.to_owned(), value.as_str().into());
            }
        }
        if let Some(seen_ms) = self.last_seen_at_ms {
            more.insert("lastSeenAtMs".to_owned(), seen_ms.into());
        }
        PairedDevice {
            device_id: self.device_id.clone(),
            public_key: self.public_key.clone(),
            display_name: self.display_name.clone(),
            platform: self.platform.clone(),
            device_family: self.device_family.clone(),
            client_id: self.client_id.clone(),
            client_mode: self.client_mode.clone(),
            role: self.role.clone(),
            roles: self.roles(),
            scopes: self.scopes.clone(),
            remote_ip: self.remote_ip.clone(),
            tokens: self.tokens.values().map(TokenEntry::summary).collect(),
            created_at_ms: self.created_at_ms,
            approved_at_ms: self.approved_at_ms,
            more,
        }
    }

    /// Adds scopes to both lists, in order, without repeats.
    pub(super) fn add_scopes(&mut self, added: &[String]) {
        let approved = self.approved_scopes.as_deref().unwrap_or_else(|| self.scopes());
        self.approved_scopes = Some(scopes::union(approved, added));
        self.scopes = Some(scopes::union(self.scopes(), added));
    }
}

/// A stored metadata value; a blank one counts as not stored, as in JavaScript.
pub(super) fn stored(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.trim().is_empty())
}

/// What is known of one device when it is judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceView<'a> {
    /// Its entry.
    pub entry: Option<&'a DeviceEntry>,
    /// Whether the entry had no metadata when the store was loaded and a request was waiting then (section 6).
    pub repairable: bool,
    /// Its pending request, possibly older than the limit: the policy looks at the age.
    pub pending: Option<&'a PendingRequest>,
}
