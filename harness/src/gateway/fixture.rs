//! Store fixture: the devices that a gateway knows before the run, in the JSON generation's own form (reference, 9.1).

use serde_json::{Map, Value, json};

use super::{StateDir, TargetError};
use crate::client::DeviceKey;
use crate::client::key::KeyError;
use crate::plan::identity::Identities;
use crate::plan::{AbsentParts, Cohort, Persona, Plan, StoredEntry, StoredMetadata};
use crate::vocabulary::persona::{self, PersonaProfile};

/// When fixture entries were approved: a fixed time, so that a plan's store is the same byte for byte.
const APPROVED_AT_MS: u64 = 1_767_225_600_000;
/// Name under which bystanders' keys are derived; no cohort can have it, names have no spaces.
const BYSTANDERS: &str = "store bystanders";

/// Why a fixture could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// A device key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The file.
    #[error(transparent)]
    Write(#[from] TargetError),
}

/// Writes `devices/paired.json` with the entries of every cohort that has some, and the bystanders.
///
/// # Errors
/// [`FixtureError`]
pub fn write(state: &StateDir, plan: &Plan, identities: &Identities) -> Result<(), FixtureError> {
    let mut paired = Map::new();
    // A key that somebody has after losing one is in no store.
    for (_, client) in plan.arriving() {
        let Some(cohort) = plan.cohorts.get(usize::from(client.cohort)) else { continue };
        let Some(stored) = &cohort.stored else { continue };
        let key = DeviceKey::from_seed(&identities.key_seed(&cohort.name, client.index))?;
        let token = |role: &str| identities.stored_token(&cohort.name, client.index, role);
        paired.insert(key.device_id().to_owned(), entry(cohort, plan, stored, &key, token));
    }
    let bystander = StoredEntry {
        roles: vec![protocol::scope::ROLE_OPERATOR.to_owned()],
        scopes: vec![protocol::scope::READ.to_owned()],
        metadata: StoredMetadata::Other {
            platform: "linux".to_owned(),
            device_family: Some("Linux".to_owned()),
        },
        tokens: true,
        absent: AbsentParts::default(),
    };
    for index in 0..plan.gateway.stored_bystanders {
        let key = DeviceKey::from_seed(&identities.key_seed(BYSTANDERS, index))?;
        let token = |role: &str| identities.stored_token(BYSTANDERS, index, role);
        let traits = persona::profile(Persona::Cli, plan.gateway.profile);
        paired.insert(key.device_id().to_owned(), entry_of(&bystander, traits, "linux", None, &key, token));
    }
    if paired.is_empty() {
        return Ok(());
    }
    state.write("devices/paired.json", format!("{:#}\n", Value::Object(paired)).as_bytes())?;
    state.write("devices/pending.json", b"{}\n")?;
    Ok(())
}

fn entry(
    cohort: &Cohort,
    plan: &Plan,
    stored: &StoredEntry,
    key: &DeviceKey,
    token: impl Fn(&str) -> String,
) -> Value {
    let connect = &cohort.connect;
    let traits = persona::profile(connect.persona, plan.gateway.profile);
    entry_of(stored, traits, &connect.platform, connect.device_family.as_deref(), key, token)
}

fn entry_of(
    stored: &StoredEntry,
    traits: &PersonaProfile,
    claimed_platform: &str,
    claimed_family: Option<&str>,
    key: &DeviceKey,
    token: impl Fn(&str) -> String,
) -> Value {
    let mut entry = json!({
        "deviceId": key.device_id(),
        "publicKey": key.public_key(),
        "clientId": traits.client_id,
        "clientMode": traits.mode,
        "role": stored.roles.first(),
        "roles": stored.roles,
        "scopes": stored.scopes,
        "approvedScopes": stored.scopes,
        "tokens": {},
        "createdAtMs": APPROVED_AT_MS,
        "approvedAtMs": APPROVED_AT_MS,
    });
    let (platform, family) = match &stored.metadata {
        StoredMetadata::Same => (Some(claimed_platform), claimed_family),
        StoredMetadata::Legacy => (None, None),
        StoredMetadata::Other { platform, device_family } => {
            (Some(platform.as_str()), device_family.as_deref())
        }
    };
    let Some(keys) = entry.as_object_mut() else { return entry };
    let absent: [(bool, [&str; 2]); 2] =
        [(stored.absent.roles, ["role", "roles"]), (stored.absent.scopes, ["scopes", "approvedScopes"])];
    for key in absent.iter().filter(|(is_absent, _)| *is_absent).flat_map(|(_, keys)| keys) {
        keys.remove(*key);
    }
    if let Some(platform) = platform {
        keys.insert("platform".to_owned(), json!(platform));
    }
    if let Some(family) = family {
        keys.insert("deviceFamily".to_owned(), json!(family));
    }
    if stored.tokens {
        let tokens: Map<String, Value> = stored
            .roles
            .iter()
            .map(|role| {
                let mut scopes =
                    if role == protocol::scope::ROLE_NODE { Vec::new() } else { stored.scopes.clone() };
                scopes.sort();
                let token = json!({
                    "token": token(role),
                    "role": role,
                    "scopes": scopes,
                    "createdAtMs": APPROVED_AT_MS,
                });
                (role.clone(), token)
            })
            .collect();
        keys.insert("tokens".to_owned(), Value::Object(tokens));
    }
    entry
}
