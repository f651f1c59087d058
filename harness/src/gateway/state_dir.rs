//! The state directory of a gateway that the run starts: `openclaw.json`, `devices/`, and nothing that outlives the run.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};
use rustix::fs::IFlags;
use serde_json::{Value, json};

use super::{Launch, TargetError};
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
            for folder in ["devices", "state"] {
                // Nothing is mounted there, mostly.
                let _ = nix::mount::umount2(&entry.path().join(folder), MntFlags::MNT_DETACH);
            }
            let _ = forbid_writing(&entry.path().join("devices"), false);
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A folder with secrets in it, removed when dropped.
#[derive(Debug)]
pub struct StateDir {
    /// Before the folder: it is taken down first.
    disk: Option<Disk>,
    folder: tempfile::TempDir,
}

/// A small disk that is mounted; taken down when dropped.
#[derive(Debug)]
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        // What is still in use goes with its last user.
        let _ = nix::mount::umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // A fault may have been cut off that forbids to remove anything.
        let _ = forbid_writing(&self.path().join("devices"), false);
    }
}

/// Makes a folder such that nothing in it can be made, renamed or removed; or lets it be.
///
/// # Errors
/// What the system says.
pub fn forbid_writing(folder: &Path, forbidden: bool) -> std::io::Result<()> {
    if rustix::process::geteuid().is_root() {
        // Modes are nothing to root.
        let folder = std::fs::File::open(folder)?;
        let flags = rustix::fs::ioctl_getflags(&folder)?;
        let wanted = if forbidden { flags | IFlags::IMMUTABLE } else { flags & !IFlags::IMMUTABLE };
        return if wanted == flags { Ok(()) } else { Ok(rustix::fs::ioctl_setflags(&folder, wanted)?) };
    }
    let mode = if forbidden { 0o500 } else { 0o700 };
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))
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
        Ok(Self { disk: None, folder })
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

    /// Folder below the state directory for temporary files of a gateway that is not ours.
    pub(crate) const TMP: &'static str = "tmp";

    /// Writes `openclaw.json`: the scenario's configuration with the run's credential in it, and for a gateway of somebody
    /// else's making what it must be told besides.
    ///
    /// # Errors
    /// [`TargetError::State`] when the system refuses.
    pub fn write_config(
        &self,
        launch: &Launch,
        gateway: &GatewayPlan,
        secret: &str,
        port: u16,
    ) -> Result<(), TargetError> {
        let auth = match gateway.auth {
            AuthMode::Token => json!({"mode": "token", "token": secret}),
            AuthMode::Password => json!({"mode": "password", "password": secret}),
            AuthMode::None => json!({"mode": "none"}),
        };
        if matches!(launch, Launch::Program(_)) {
            return self.write_openclaw_config(&gateway.config, &auth, port);
        }
        let mut config = if gateway.config.is_object() { gateway.config.clone() } else { json!({}) };
        merge(&mut config, json!({"gateway": {"auth": auth}}));
        self.write("openclaw.json", format!("{config:#}\n").as_bytes())
    }

    /// Writes `openclaw.json` for an OpenClaw: on loopback, with its log and its temporary files in here, and without asking
    /// npm for a newer version of itself. `config` may say otherwise, but for the address and `auth`.
    ///
    /// # Errors
    /// [`TargetError::State`] when the system refuses.
    pub fn write_openclaw_config(&self, config: &Value, auth: &Value, port: u16) -> Result<(), TargetError> {
        let tmp = self.path().join(Self::TMP);
        std::fs::create_dir_all(&tmp).map_err(|source| TargetError::State { path: tmp, source })?;
        let mut whole = json!({
            "logging": {"file": self.path().join("openclaw.log")},
            "update": {"checkOnStart": false},
        });
        if config.is_object() {
            merge(&mut whole, config.clone());
        }
        let ours = json!({"gateway": {"mode": "local", "bind": "loopback", "port": port, "auth": auth}});
        merge(&mut whole, ours);
        self.write("openclaw.json", format!("{whole:#}\n").as_bytes())
    }

    /// Puts another shared token into `openclaw.json` of a state directory, as an owner does with an editor.
    ///
    /// # Errors
    /// [`TargetError::State`] when the file cannot be read or written.
    pub fn change_secret(state_dir: &Path, secret: &str) -> Result<(), TargetError> {
        let path = state_dir.join("openclaw.json");
        let changed = || -> std::io::Result<()> {
            let mut config: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
            merge(&mut config, json!({"gateway": {"auth": {"token": secret}}}));
            std::fs::write(&path, format!("{config:#}\n"))
        };
        changed().map_err(|source| TargetError::State { path: path.clone(), source })
    }

    /// Puts a small disk of its own below the directory at `folder`, so that it can be full. It goes with the directory.
    ///
    /// # Errors
    /// [`TargetError::State`] when the system refuses, as it does unless one is root.
    pub fn small_disk(&mut self, folder: &str, bytes: u64) -> Result<(), TargetError> {
        let path = self.path().join(folder);
        let refused = |source| TargetError::State { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(refused)?;
        let options = format!("size={bytes},mode=0700");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        nix::mount::mount(Some("pairstorm"), &path, Some("tmpfs"), flags, Some(options.as_str()))
            .map_err(|error| refused(error.into()))?;
        self.disk = Some(Disk(path));
        Ok(())
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
    fn a_directory_goes_even_with_a_folder_that_a_fault_left_unwritable() {
        let state = StateDir::create().unwrap();
        state.write("devices/paired.json", b"{}").unwrap();
        let path = state.path().to_owned();
        // Where the system refuses, no fault can leave one.
        let forbidden = forbid_writing(&path.join("devices"), true);
        drop(state);
        assert!(!path.exists(), "{forbidden:?}");
    }

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
