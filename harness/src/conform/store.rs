//! Hand edits of the store of the replay's own gateway.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Map, Value, json};

use super::identity::Identities;
use super::session::{Edit, FileEdit};
use crate::gateway::{StateDir, TargetError, store_edit};
use crate::vocabulary::StoreEdit;

/// Where the releases before 2026.9.6 keep paired devices.
const FILE: &str = "devices/paired.json";

/// The edits of one case, and what they need to remember.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// Entries (by live id) before their first edit.
    entries: BTreeMap<String, Value>,
    /// The file before it was changed as a whole.
    file: Option<Vec<u8>>,
}

impl Store {
    /// Does an edit.
    pub(super) fn edit(
        &mut self,
        state: &StateDir,
        edit: &Edit,
        identities: &Identities,
    ) -> Result<(), TargetError> {
        let refused = |problem: &str| TargetError::State {
            path: state.path().join(FILE),
            source: io::Error::other(problem.to_owned()),
        };
        let database = state.path().join("state/openclaw.sqlite").exists();
        if database && matches!(edit, Edit::Rewrite { .. } | Edit::File(_)) {
            return Err(refused("this gateway keeps devices in a database"));
        }
        let (device, known) = match edit {
            Edit::Scopes { device, scopes } => {
                (device, database.then(|| StoreEdit::SetScopes(scopes.clone())))
            }
            Edit::Drop { device } => (device, Some(StoreEdit::DropEntry)),
            Edit::Rewrite { device, .. } => (device, None),
            Edit::File(edit) => return self.whole(state, *edit),
            Edit::Stray => return state.write(FILE, b"{}\n"),
        };
        let device = identities.text(device);
        let mut entries = read(state).unwrap_or_default();
        if let Some(entry) = entries.get(&device) {
            self.entries.entry(device.clone()).or_insert_with(|| entry.clone());
        }
        if let Some(known) = known {
            let found = store_edit::apply(state.path(), &device, &known)?;
            return if found { Ok(()) } else { Err(refused("the device has no entry")) };
        }
        let before = match edit {
            Edit::Rewrite { .. } => self.entries.get(&device),
            _ => entries.get(&device),
        };
        let mut entry = before.cloned().ok_or_else(|| refused("the device has no entry"))?;
        let Some(fields) = entry.as_object_mut() else { return Err(refused("the device's entry is none")) };
        match edit {
            // What the entry says of its scopes, and nothing else of it.
            Edit::Scopes { scopes, .. } => drop(fields.insert("scopes".to_owned(), json!(scopes))),
            Edit::Rewrite { without, scopes, .. } => {
                // Titles name keys in lower case.
                fields.retain(|name, _| !without.iter().any(|key| name.eq_ignore_ascii_case(key)));
                if let Some(scopes) = scopes {
                    fields.insert("scopes".to_owned(), json!(scopes));
                    fields.entry("approvedScopes").and_modify(|approved| *approved = json!(scopes));
                }
            }
            Edit::Drop { .. } | Edit::File(_) | Edit::Stray => {}
        }
        entries.insert(device, entry);
        state.write(FILE, format!("{:#}\n", Value::Object(entries)).as_bytes())
    }

    fn whole(&mut self, state: &StateDir, edit: FileEdit) -> Result<(), TargetError> {
        let path = state.path().join(FILE);
        let refused = |source| TargetError::State { path: path.clone(), source };
        if self.file.is_none() {
            self.file = Some(std::fs::read(&path).map_err(refused)?);
        }
        let before = self.file.as_deref().unwrap_or_default();
        match edit {
            FileEdit::Truncate => state.write(FILE, before.get(..before.len() / 2).unwrap_or_default()),
            FileEdit::EmptyObject => state.write(FILE, b"{}"),
            FileEdit::Empty => state.write(FILE, b""),
            FileEdit::Delete => std::fs::remove_file(&path).map_err(refused),
            FileEdit::Restore => state.write(FILE, before),
        }
    }
}

fn read(state: &StateDir) -> Option<Map<String, Value>> {
    serde_json::from_slice(&std::fs::read(state.path().join(FILE)).ok()?).ok()
}
