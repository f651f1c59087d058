//! The state directory of a gateway that the run starts: `openclaw.json`, `devices/`, and nothing that outlives the run.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::TargetError;
use crate::plan::{AuthMode, GatewayPlan};

/// How the folders are called, followed by the id of the process that made them.
const PREFIX: &str = "pairstorm-state-";

/// Removes the state directories of runs that were killed before they could do it: secrets lie in them. What cannot be
/// removed belongs to somebody else.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(pid, _)| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder with secrets in it, removed when dropped.
#[derive(Debug)]
pub struct StateDir {
    folder: tempfile::TempDir,
}

impl StateDir {
    /// Makes an empty state directory, readable by its owner only.
    ///
    /// # Errors
    /// [`TargetError::State`] when the system refuses.
    pub fn create() -> Result<Self, TargetError> {
        sweep();
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir()
            .map_err(|source| TargetError::State { path: std::env::temp_dir(), source })?;
        Ok(Self { folder })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The gateway's log, kept here until the run's folder exists.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path().join("gateway.log")
    }

    /// Writes `openclaw.json`: the scenario's configuration with the run's credential in it.
    ///
    /// # Errors
    /// [`TargetError::State`] when the system refuses.
    pub fn write_config(&self, gateway: &GatewayPlan, secret: &str) -> Result<(), TargetError> {
        let mut config = gateway.config.clone();
        if !config.is_object() {
            config = json!({});
        }
        let auth = match gateway.auth {
            AuthMode::Token => json!({"mode": "token", "token": secret}),
            AuthMode::Password => json!({"mode": "password", "password": secret}),
            AuthMode::None => json!({"mode": "none"}),
        };
        merge(&mut config, json!({"gateway": {"auth": auth}}));
        self.write("openclaw.json", format!("{config:#}\n").as_bytes())
    }

    /// Writes a file with mode 0600 below the directory, making its folder.
    ///
    /// # Errors
    /// [`TargetError::State`] when the system refuses.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), TargetError> {
        let path = self.path().join(name);
        let refused = |source| TargetError::State { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(refused)?;
        }
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(refused)?;
        file.write_all(content).map_err(refused)
    }
}

/// Lays `over` on `under`, objects key by key, anything else whole.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_joins_the_scenarios_configuration() {
        let mut config = json!({"gateway": {"trustedProxies": ["127.2.0.1"], "auth": {"mode": "token"}}});
        merge(&mut config, json!({"gateway": {"auth": {"mode": "token", "token": "t"}}}));
        assert_eq!(
            config,
            json!({"gateway": {"trustedProxies": ["127.2.0.1"], "auth": {"mode": "token", "token": "t"}}})
        );
    }
}
